"""A generator's run among others: when a peer is warm."""

import pytest
from bench import window


@pytest.mark.parametrize(("runs", "asked"), [([1, 1], 2), ([1, 0, 1, 1], 4), ([0, 0, 1, 0, 1, 1], 6), ([0] * 8, 8)])
def test_a_peer_is_warm_after_two_good_runs_in_a_row(runs: list[int], asked: int) -> None:
    """Requirement: one good run proves nothing where the next may fail; a peer that never is well is measured so."""
    left = [*map(bool, runs), *[True] * 9]
    window.warm_up(lambda: left.pop(0))
    assert len(runs) + 9 - len(left) == asked
