"""Two builds are compared by paired runs; only what the machine's noise cannot explain counts."""

import random
from math import exp

import pytest
from bench.against import lines
from bench.comparison import Comparison, compare, t_975

THEIRS = [40.0, 42.0, 39.0, 41.0, 40.5, 43.0, 38.0, 40.0, 41.5, 39.5]


def noisy(seed: int, factor: float, runs: int = 10, noise: float = 0.02) -> Comparison:
    chance = random.Random(seed)
    theirs = [40 * exp(chance.gauss(0, noise)) for _ in range(runs)]
    ours = [factor * 40 * exp(chance.gauss(0, noise)) for _ in range(runs)]
    return compare(ours, theirs)


def test_what_disturbs_both_runs_of_a_pair_leaves_no_trace():
    """Requirement: a machine that is three times as slow in one pair changes neither ratio nor interval."""
    drifting = [cost * (3 if number == 4 else 1) for number, cost in enumerate(THEIRS)]
    found = compare([1.1 * cost for cost in drifting], drifting)
    assert (found.ratio, found.low, found.high) == pytest.approx((1.1, 1.1, 1.1))
    assert found.verdict == "worse"


def test_the_interval_is_students():
    """Requirement: mean and interval of three pairs as calculated by hand: 4.303 x 0.1 / sqrt(3) either way."""
    found = compare([exp(-0.1), 1.0, exp(0.1)], [1.0, 1.0, 1.0])
    assert found.ratio == pytest.approx(1)
    assert (found.low, found.high) == pytest.approx((exp(-0.24843), exp(0.24843)), rel=1e-4)


def test_a_difference_is_worse_only_when_all_of_its_interval_is_above_three_per_cent():
    """Requirement: neither a mean above the tolerance nor a sure difference below it is a worse build."""
    assert Comparison(1.05, 1.031, 1.07).verdict == "worse"
    assert Comparison(1.10, 1.029, 1.18).verdict == "not worse"
    assert Comparison(1.02, 1.015, 1.025).verdict == "not worse"
    assert Comparison(0.9, 0.85, 0.96).verdict == "better"


def test_equal_builds_are_seldom_called_worse_and_a_tenth_more_is_seen():
    """Requirement: of 400 comparisons of equal builds on a noisy machine none is worse; a tenth more mostly is."""
    assert not any(noisy(seed, 1.0).verdict == "worse" for seed in range(400))
    assert sum(noisy(seed, 1.1).verdict == "worse" for seed in range(400)) > 390


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Requirement: 95 % of intervals hold the ratio that the runs were made with."""
    held = [found.low <= 1.04 <= found.high for found in (noisy(seed, 1.04) for seed in range(2000))]
    assert 0.93 < sum(held) / len(held) < 0.97


def test_between_the_rows_of_the_table_the_wider_interval_counts():
    """Requirement: never a narrower interval than the number of runs allows."""
    assert t_975(9) == 2.262
    assert t_975(24) == t_975(20)
    assert t_975(10_000) == t_975(120)


def test_one_pair_is_no_comparison():
    """Requirement: an interval of one run is refused, and so are runs without partners."""
    with pytest.raises(ValueError, match="two pairs"):
        compare([1.0], [1.0])
    with pytest.raises(ValueError, match="zip"):
        compare([1.0, 2.0], [1.0])


def test_the_table_names_the_scenario_the_ratio_and_the_verdict():
    """Requirement: a line for each scenario; what is compared with is named."""
    said = lines({"pair-grpc": Comparison(1.1, 1.05, 1.15)}, "v1")
    assert "ours / v1" in said[0]
    assert said[1].split() == ["pair-grpc", "1.100", "[1.050,", "1.150]", "worse"]
