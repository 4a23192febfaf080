"""In which order questions are asked."""

from typing import cast

from bench import measure
from bench.peers import Peer
from bench.scenario import Scenario


class Named:
    """What of a peer decides about its turn."""

    def __init__(self, name: str, *deaf: str) -> None:
        self.name = name
        self.deaf = deaf

    def asked(self, scenario: Scenario) -> bool:
        return scenario.name not in self.deaf


def test_what_is_compared_is_asked_in_turns():
    """Requirement: peers, and scenarios of one order, take turns in every repetition, so that a slow minute is in both
    sides of a ratio; a scenario is asked of those only that can carry it.
    """
    scenarios = [Scenario(name, name, "saturation", order) for name, order in (("idle", 0), ("one", 8), ("two", 8))]
    peers = [cast(Peer, Named("weft")), cast(Peer, Named("floor", "idle", "two"))]
    asked = [f"{scenario.name} {peer.name}" for scenario, peer in measure.turns(scenarios, peers, 2)]
    turn = ["one weft", "one floor", "two weft"]
    assert asked == ["idle weft", "idle weft", *turn, *turn]
