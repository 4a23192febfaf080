"""Asks every scenario of every peer, interleaved: one repetition of all peers, then the next. Returns the records.

CPU is the processes' own utime + stime over the window, divided by the requests of that window.
"""

import subprocess
import sys
import time
from collections.abc import Sequence

from bench import h2load, processes, waiting
from bench.figures import Record, Samples
from bench.mesh import MESSAGE, Mesh
from bench.peers import Peer
from bench.scenario import Effort, Scenario

_WARM_UP = 0.5
_WARM_UPS = 6


def run(
    scenarios: Sequence[Scenario], peers: Sequence[Peer], mesh: Mesh, effort: Effort
) -> tuple[list[Record], set[str]]:
    """All records, and the peers of which a window failed. Peers are stopped at the end."""
    samples = Samples()
    failed: set[str] = set()
    try:
        for scenario in scenarios:
            for number in range(effort.runs):
                say(f"{scenario.name}: run {number + 1} of {effort.runs}")
                for peer in peers:
                    try:
                        samples.add(scenario.name, peer.name, _ask(scenario, peer, mesh, effort))
                    except (RequestsFailed, TimeoutError) as problem:
                        say(f"no figures of this run for {peer.name}: {problem}")
                        failed.add(peer.name)
    finally:
        for peer in peers:
            peer.stop()
    return samples.records(), failed


class RequestsFailed(Exception):
    """A window in which not every request was answered well gives no figures."""


def _ask(scenario: Scenario, peer: Peer, mesh: Mesh, effort: Effort) -> dict[str, float]:
    if scenario.kind == "idle":
        return _idle(peer)
    if scenario.kind == "start":
        return _start(peer)
    return saturation(scenario, peer, mesh, effort)


def _idle(peer: Peer) -> dict[str, float]:
    """Memory of a pair that is ready and has served nothing."""
    peer.restart()
    sizes = [processes.rss_mb(pid) for pid in peer.pids()]
    return {"rss_idle_mb": sum(sizes) / len(sizes)} if sizes else {}


def _start(peer: Peer) -> dict[str, float]:
    """From exec to ready, the slower side; then one request through a fresh pair that has served nothing."""
    sides = peer.ready_ms()
    peer.restart()
    began = time.perf_counter()
    host, port = peer.url("http1").split("/")[2].split(":")
    if not waiting.answers(peer.network, host, int(port)):
        raise RequestsFailed("the first request was not answered")
    first = waiting.milliseconds(began)
    return {"ready_ms": max(sides), "first_request_ms": first} if sides else {"first_request_ms": first}


def saturation(scenario: Scenario, peer: Peer, mesh: Mesh, effort: Effort) -> dict[str, float]:
    """CPU, rate, latencies and memory of one window in which the generator asks as fast as it is answered."""
    pids = peer.pids()
    log = mesh.directory / "requests.log"
    log.unlink(missing_ok=True)
    payload = mesh.directory / "payload"
    payload.write_bytes(MESSAGE)
    url = peer.url(scenario.protocol)
    _warm_up(peer, h2load.command(scenario, url, _WARM_UP, payload, None))
    before = [processes.cpu_us(pid) for pid in pids]
    printed = _generate(peer, h2load.command(scenario, url, effort.seconds, payload, log))
    after = [processes.cpu_us(pid) for pid in pids]
    said = h2load.parse(printed)
    if said.failed or not said.requests:
        raise RequestsFailed(f"{said.failed} of {said.requests} requests failed in {scenario.name}")
    with log.open() as lines:
        p50, p99 = h2load.latencies(lines)
    figures = {"requests_per_s": said.per_second, "p50_ms": p50, "p99_ms": p99}
    if pids:
        used = sum(after) - sum(before)
        figures["cpu_us_per_request"] = used / said.requests
        figures["rss_loaded_mb"] = sum(processes.rss_mb(pid) for pid in pids) / len(pids)
    return figures


def _warm_up(peer: Peer, command: list[str]) -> None:
    """Until everything is connected: HAProxy answers a burst of first requests with a TLS handshake for each."""
    for _ in range(_WARM_UPS):
        said = h2load.parse(_generate(peer, command))
        if said.requests and not said.failed:
            return


def _generate(peer: Peer, command: list[str]) -> str:
    process = processes.spawn(command, peer.network, processes.LOAD_CORE, subprocess.PIPE)
    printed, _ = process.communicate(timeout=waiting.PATIENCE)
    return printed.decode(errors="replace")


def say(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")
