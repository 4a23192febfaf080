"""The scenarios under load: each runs a load generator against one peer for one window, and makes figures of it."""

from collections.abc import Callable, Sequence

from bench import h2load, weftload, window
from bench.backends import MESSAGE
from bench.mesh import Mesh
from bench.peers import Peer
from bench.scenario import Effort, Scenario
from bench.window import RequestsFailed

_WARM_UP = 0.5


def saturation(scenario: Scenario, peer: Peer, mesh: Mesh, effort: Effort) -> dict[str, float]:
    """CPU, rate, latencies and memory while the generator asks as fast as it is answered."""
    pids = measured_pids(scenario, peer)
    # Not beside the mesh's file: `weft up` watches that directory, and would be woken for each line of the log, on the
    # core that the load comes from.
    files = mesh.directory / "load"
    files.mkdir(exist_ok=True)
    log = files / "requests.log"
    log.unlink(missing_ok=True)
    payload = files / "payload"
    payload.write_bytes(MESSAGE)
    url = peer.url(scenario.route)

    def warm() -> bool:
        said = h2load.parse(window.generate(peer, h2load.command(scenario, url, _WARM_UP, payload, None)))
        return bool(said.requests) and not said.failed

    window.warm_up(warm)
    taken = window.measured(peer, pids, h2load.command(scenario, url, effort.seconds, payload, log))
    said = h2load.parse(taken.printed)
    if said.failed or not said.requests:
        raise RequestsFailed(f"{said.failed} of {said.requests} requests failed in {scenario.name}")
    with log.open() as lines:
        p50, p99 = h2load.latencies(lines)
    figures = {"requests_per_s": said.per_second, "p50_ms": p50, "p99_ms": p99}
    if pids:
        figures["cpu_us_per_request"] = taken.cpu_us / said.requests
        figures["rss_loaded_mb"] = window.rss_mb(pids)
    return figures


def rate(scenario: Scenario, peer: Peer, effort: Effort) -> dict[str, float]:
    """Cores that the pair keeps busy at a constant rate, and latencies counted from when a request was due."""
    said, cpu_us = _weft_load("rate", scenario, peer, effort, rate=scenario.rate)
    figures = {"p50_ms": said.p50_ms, "p99_ms": said.p99_ms}
    return figures | ({"cores": cpu_us / 1e6 / effort.seconds} if peer.pids() else {})


def one(scenario: Scenario, peer: Peer, effort: Effort) -> dict[str, float]:
    """A single connection that asks again when it was answered: nothing is shared with other requests."""
    said, cpu_us = _weft_load("closed", scenario, peer, effort)
    return {"p50_ms": said.p50_ms, "p99_ms": said.p99_ms} | _per_request(said, cpu_us, peer)


def bulk(scenario: Scenario, peer: Peer, effort: Effort) -> dict[str, float]:
    """Large bodies, or opaque bytes both ways: bytes per second, and CPU per byte."""
    said, cpu_us = _weft_load("tcp" if scenario.route == "tcp" else "closed", scenario, peer, effort)
    if not said.gigabytes:
        raise RequestsFailed(f"no byte arrived in {scenario.name}")
    figures = {"gb_per_s": said.gigabytes / said.seconds}
    return figures | ({"cpu_s_per_gb": cpu_us / 1e6 / said.gigabytes} if peer.pids() else {})


def stream(scenario: Scenario, peer: Peer, effort: Effort) -> dict[str, float]:
    """gRPC messages on streams that stay open; a "request" is a message that came back."""
    said, cpu_us = _weft_load("stream", scenario, peer, effort, streams=scenario.streams, window=scenario.messages)
    return {"requests_per_s": said.requests / said.seconds} | _per_request(said, cpu_us, peer)


def connect(scenario: Scenario, peer: Peer, effort: Effort) -> dict[str, float]:
    """New opaque connections; a "request" is one of them: opened, a byte there and back, closed."""
    said, cpu_us = _weft_load("connect", scenario, peer, effort)
    figures = {"requests_per_s": said.requests / said.seconds, "p50_ms": said.p50_ms, "p99_ms": said.p99_ms}
    return figures | _per_request(said, cpu_us, peer)


def measured_pids(scenario: Scenario, peer: Peer) -> Sequence[int]:
    """The proxies that this scenario's requests pass: the client's only on a hop to an unmeshed backend."""
    return peer.pids()[:1] if scenario.route == "hop" else peer.pids()


UNDER_LOAD: dict[str, Callable[[Scenario, Peer, Effort], dict[str, float]]] = {
    "rate": rate,
    "one": one,
    "bulk": bulk,
    "stream": stream,
    "connect": connect,
}
"""By the scenario's kind; each asks with weft-load."""


def _weft_load(
    mode: str, scenario: Scenario, peer: Peer, effort: Effort, **options: float
) -> tuple[weftload.Said, float]:
    """One window after a warm-up: what was said, and the CPU time of the pair."""
    pids = measured_pids(scenario, peer)
    target = peer.url(scenario.route, scenario.path)
    options["connections"] = scenario.connections

    def warm() -> bool:
        command = weftload.command(mode, target, seconds=_WARM_UP, **options)
        return not weftload.parse(window.generate(peer, command)).failed

    window.warm_up(warm)
    taken = window.measured(peer, pids, weftload.command(mode, target, seconds=effort.seconds, **options))
    said = weftload.parse(taken.printed)
    if said.failed:
        raise RequestsFailed(f"{said.failed} failed and {said.requests} were answered in {scenario.name}")
    return said, taken.cpu_us


def _per_request(said: weftload.Said, cpu_us: float, peer: Peer) -> dict[str, float]:
    if not said.requests:
        raise RequestsFailed("nothing was answered")
    return {"cpu_us_per_request": cpu_us / said.requests} if peer.pids() else {}
