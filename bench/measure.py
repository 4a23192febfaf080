"""Asks every scenario of every peer, interleaved: one repetition of all peers, then the next. Returns the records.

Scenarios of the same order are interleaved too: some of our goals compare them with each other.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby, product
from operator import attrgetter

from bench import loads, rests
from bench.figures import Record, Samples
from bench.mesh import Mesh
from bench.peers import Peer
from bench.scenario import DEFAULT, Effort, Scenario
from bench.window import RequestsFailed, say


def run(
    scenarios: Sequence[Scenario], peers: Sequence[Peer], mesh: Mesh, effort: Effort
) -> tuple[list[Record], set[str]]:
    """All records, and the peers of which a window failed. Peers are stopped at the end."""
    samples = Samples()
    failed: set[str] = set()
    try:
        for scenario, peer in turns(scenarios, peers, effort.runs):
            try:
                samples.add(scenario.name, peer.name, ask(scenario, peer, mesh, effort))
            except (RequestsFailed, TimeoutError, ValueError) as problem:
                say(f"no figures of this run for {peer.name}: {problem}")
                failed.add(peer.name)
    finally:
        for peer in peers:
            peer.stop()
    return samples.records(), failed


def turns(scenarios: Sequence[Scenario], peers: Sequence[Peer], runs: int) -> Iterator[tuple[Scenario, Peer]]:
    """What is asked of whom, one after the other. Says which repetition begins."""
    for _, of_one_order in groupby(scenarios, attrgetter("order")):
        for number, scenario in product(range(runs), list(of_one_order)):
            say(f"{scenario.name}: run {number + 1} of {runs}")
            yield from ((scenario, peer) for peer in peers if peer.asked(scenario))


def ask(scenario: Scenario, peer: Peer, mesh: Mesh, effort: Effort) -> dict[str, float]:
    """The figures of one window."""
    peer.tune(DEFAULT if scenario.kind == "destinations" else scenario.tuning)
    match scenario.kind:
        case "idle":
            return rests.idle(peer)
        case "start":
            return rests.start(peer)
        case "held":
            return rests.held(scenario, peer, effort)
        case "destinations":
            return rests.destinations(scenario, peer)
        case "series":
            return rests.series(peer)
        case "saturation":
            return loads.saturation(scenario, peer, mesh, effort)
        case _:
            return loads.UNDER_LOAD[scenario.kind](scenario, peer, effort)
