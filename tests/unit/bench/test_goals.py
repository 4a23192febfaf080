"""Records are held against the goals: ratios within one run, few limits in units, and no verdict without a figure."""

import pytest
from bench.figures import Record
from bench.goals import GOALS, Bound, Found, Goal, Results, Verdict


def records(**medians: float) -> list[Record]:
    """Of one metric, by the peer's name."""
    return [Record("pair", peer, "p50_ms", "ms", median, median, median, 3) for peer, median in medians.items()]


def judge(goal: Goal, **medians: float) -> Found:
    return Results(records(**medians)).judge(goal, goal.must)


AT_MOST = Goal("p50", "pair", "p50_ms", Bound(0.5, "envoy"))
AT_LEAST = Goal("p50", "pair", "p50_ms", Bound(0.5, "envoy"), least=True)
ADDED = Goal("p50", "pair", "p50_ms", Bound(0.5, "envoy"), added=True)
LIMIT = Goal("p50", "pair", "p50_ms", Bound(8))


@pytest.mark.parametrize(
    ("goal", "weft", "found"),
    [
        (AT_MOST, 5.0, Found(Verdict.MET, 0.5)),
        (AT_MOST, 6.0, Found(Verdict.MISSED, 0.6)),
        (AT_LEAST, 5.0, Found(Verdict.MET, 0.5)),
        (AT_LEAST, 4.0, Found(Verdict.MISSED, 0.4)),
        (LIMIT, 8.0, Found(Verdict.MET, 8.0)),
        (LIMIT, 8.1, Found(Verdict.MISSED, 8.1)),
    ],
)
def test_a_bound_is_kept_where_it_is_reached(goal: Goal, weft: float, found: Found):
    """Requirement: at most, at least, of a peer and in units; the bound itself is good enough."""
    assert judge(goal, weft=weft, envoy=10.0) == found


def test_what_a_direct_connection_takes_is_taken_off():
    """Requirement: added latency compares with added latency."""
    assert judge(ADDED, weft=3.0, envoy=6.0, direct=2.0) == Found(Verdict.MET, 0.25)


@pytest.mark.parametrize(
    ("goal", "medians"),
    [
        (AT_MOST, {"weft": 3.0}),
        (AT_MOST, {"envoy": 3.0}),
        (ADDED, {"weft": 3.0, "envoy": 4.0}),
        (ADDED, {"weft": 3.0, "envoy": 2.0, "direct": 2.0}),
        (LIMIT, {}),
    ],
)
def test_a_goal_without_its_figures_is_neither_met_nor_missed(goal: Goal, medians: dict[str, float]):
    """Requirement: a peer that was not there, or adds nothing that could be measured, gives no verdict."""
    assert judge(goal, **medians) == Found(Verdict.UNMEASURED)


def test_a_bound_may_be_another_figure_of_our_own():
    """Requirement: two workers compare with one, memory after a burst with memory before."""
    more = [
        Record("two", "weft", "p50_ms", "ms", 22.0, 22.0, 22.0, 3),
        Record("two", "weft", "p99_ms", "ms", 44, 44, 44, 3),
    ]
    results = Results([*records(weft=20.0), *more])
    workers = Goal("p50", "two", "p50_ms", Bound(1.1, scenario="pair"))
    within = Goal("p99", "two", "p99_ms", Bound(1.9, metric="p50_ms"))
    assert results.judge(workers, workers.must) == Found(Verdict.MET, pytest.approx(1.1))
    assert results.judge(within, within.must) == Found(Verdict.MISSED, 2.0)
    assert results.judge(workers, workers.aim) == Found(Verdict.NONE)


def test_an_aim_is_never_easier_than_its_must():
    """Requirement: where both are ratios to the same, the aim asks for more."""
    for goal in GOALS:
        if goal.aim and (goal.aim.peer, goal.aim.scenario) == (goal.must.peer, goal.must.scenario):
            assert (goal.aim.limit > goal.must.limit) == goal.least, goal
