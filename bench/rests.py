"""The scenarios at rest: what a pair takes that is asked little or nothing, and how soon it is there."""

import select
import subprocess
import time

from bench import backends, processes, waiting, weftload, window
from bench.peers import Peer
from bench.scenario import Effort, Scenario
from bench.window import RequestsFailed

_SETTLED = 12.0
"""Seconds until a proxy that is asked nothing is at rest: the first pings of its own connections are behind it."""


def idle(peer: Peer) -> dict[str, float]:
    """Memory of a pair that is ready and has served nothing."""
    peer.restart()
    pids = peer.pids()
    if pids:
        # Nothing happens that could be waited for: that is the point.
        time.sleep(_SETTLED)
    return {"rss_idle_mb": window.rss_mb(pids)} if pids else {}


def start(peer: Peer) -> dict[str, float]:
    """From exec to ready, the slower side; then one request through a fresh pair that has served nothing."""
    sides = peer.ready_ms()
    peer.restart()
    began = time.perf_counter()
    _first_request(peer)
    first = waiting.milliseconds(began)
    return {"ready_ms": max(sides), "first_request_ms": first} if sides else {"first_request_ms": first}


def held(scenario: Scenario, peer: Peer, effort: Effort) -> dict[str, float]:
    """Memory of both proxies for each idle connection of the application; with `given_back`, once they are gone too.

    Fewer connections where the limit of open files asks for it, of every peer alike: the figure is for each of them.
    """
    if not peer.pids():
        return {}
    peer.restart()
    _first_request(peer)
    pids = peer.pids()
    connections = min(scenario.connections, processes.connections())
    before = window.rss_mb(pids)
    loaded = _rss_mb_while_held(peer, connections)
    figures = {"kb_per_connection": (loaded - before) * len(pids) * 1000 / connections}
    if scenario.given_back:
        # How long is part of the question.
        time.sleep(effort.rest)
        figures |= {"rss_idle_mb": before, "rss_loaded_mb": loaded, "rss_after_mb": window.rss_mb(pids)}
    return figures


def _rss_mb_while_held(peer: Peer, connections: int) -> float:
    command = weftload.command("idle", peer.url("http1"), connections=connections)
    process = processes.spawn(command, peer.network, {processes.LOAD_CORE}, subprocess.PIPE, stdin=subprocess.PIPE)
    try:
        opened = _line(process)
        loaded = window.rss_mb(peer.pids())
        printed, _ = process.communicate(timeout=waiting.PATIENCE)
    except subprocess.TimeoutExpired as problem:
        raise RequestsFailed(f"{connections} connections could not be opened or closed in time") from problem
    finally:
        processes.stop(process)
    said = [opened, *printed.decode(errors="replace").splitlines()]
    if weftload.lines(said, "held") != [connections]:
        raise RequestsFailed(f"not all of {connections} connections were held: {' '.join(said)}")
    return loaded


def _line(process: subprocess.Popen[bytes]) -> str:
    """The first line that it prints, which may take a while. Raises TimeoutExpired."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], waiting.PATIENCE)[0]:
        raise subprocess.TimeoutExpired(process.args, waiting.PATIENCE)
    return process.stdout.readline().decode(errors="replace").strip()


def destinations(scenario: Scenario, peer: Peer) -> dict[str, float]:
    """The client's proxy when its application has asked many Services; one of other kind has them in its configuration.

    What a destination takes is the difference to a proxy that knows one only.
    """
    if not peer.pids():
        return {}
    peer.restart()
    _first_request(peer)
    one = processes.rss_mb(peer.pids()[0])
    peer.tune(scenario.tuning)
    ready = max(peer.ready_ms())
    peer.restart()
    asked = peer.destinations(scenario.destinations)
    for number, (host, port, name) in enumerate(asked):
        if not waiting.answers(peer.network, host, port, name=name):
            raise RequestsFailed(f"destination {number} did not answer")
    all_of_them = processes.rss_mb(peer.pids()[0])
    return {
        "ready_ms": ready,
        "rss_loaded_mb": all_of_them,
        "kb_per_destination": (all_of_them - one) * 1000 / len(asked),
    }


def series(peer: Peer) -> dict[str, float]:
    """Memory of both proxies for each set of labels that their metrics count, a histogram's being one.

    Every status that a backend answers is a new one of several metrics.
    """
    if peer.series() is None:
        return {}
    peer.restart()
    # Connections of its clients come and go while statuses are asked; so they have here.
    for _ in backends.STATUSES:
        _first_request(peer)
    pids = peer.pids()
    known, before = peer.series() or 0, window.rss_mb(pids)
    host, port = _place(peer)
    for status in backends.STATUSES:
        if not waiting.answers(peer.network, host, port, backends.status_path(status), status=status):
            raise RequestsFailed(f"{status} was not answered when it was asked for")
    taken = window.rss_mb(pids) - before
    return {"bytes_per_series": taken * len(pids) * 1e6 / ((peer.series() or 0) - known)}


def _first_request(peer: Peer) -> None:
    host, port = _place(peer)
    if not waiting.answers(peer.network, host, port):
        raise RequestsFailed("the first request was not answered")


def _place(peer: Peer) -> tuple[str, int]:
    host, port = peer.url("http1").split("/")[2].split(":")
    return host, int(port)
