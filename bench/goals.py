"""What the bench's figures are held to, as data, and whether given records meet it. Pure.

Goals are ratios to a peer of the same run, or to another figure of our own; few have limits in units. Each has a *must*
and mostly an *aim* beyond it. A goal whose records are not there is not measured: neither met nor missed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bench.figures import Record

OURS = "weft"
DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit: of a peer's figure, of our own figure in another scenario or metric, or, without these, in the unit."""

    limit: float
    peer: str = ""
    scenario: str = ""
    metric: str = ""

    @property
    def absolute(self) -> bool:
        """Whether it is no ratio."""
        return not (self.peer or self.scenario or self.metric)


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure of ours and its bounds. `added`: what a direct connection takes anyhow is taken off all figures."""

    what: str
    scenario: str
    metric: str
    must: Bound
    aim: Bound | None = None
    least: bool = False
    """Whether bounds are the least that is wanted, not the most."""
    added: bool = False


GOALS = (
    Goal("CPU per request", "pair-http1-64", "cpu_us_per_request", Bound(0.40, "envoy")),
    Goal("CPU per request", "pair-http1-64", "cpu_us_per_request", Bound(1.25, "haproxy"), Bound(0.8, "haproxy")),
    Goal("requests/s", "pair-http1-64", "requests_per_s", Bound(2.5, "envoy"), Bound(1.0, "haproxy"), least=True),
    Goal("CPU per request", "pair-http1-256", "cpu_us_per_request", Bound(0.40, "envoy")),
    Goal("CPU per request", "pair-http1-256", "cpu_us_per_request", Bound(1.25, "haproxy"), Bound(0.8, "haproxy")),
    Goal("requests/s", "pair-http1-256", "requests_per_s", Bound(2.5, "envoy"), Bound(1.0, "haproxy"), least=True),
    Goal("CPU per request", "pair-grpc", "cpu_us_per_request", Bound(0.55, "envoy"), Bound(0.35, "envoy")),
    Goal("CPU per request", "pair-grpc", "cpu_us_per_request", Bound(1.1, "haproxy")),
    Goal("cores", "rate-1000", "cores", Bound(0.8, "envoy"), Bound(1.0, "haproxy")),
    Goal("p50 added to direct", "rate-1000", "p50_ms", Bound(0.8, "envoy"), Bound(1.0, "haproxy"), added=True),
    Goal("p99 added to direct", "rate-1000", "p99_ms", Bound(0.8, "envoy"), Bound(1.0, "haproxy"), added=True),
    Goal("p50 added to direct", "one", "p50_ms", Bound(0.7, "envoy"), Bound(1.0, "haproxy"), added=True),
    Goal("throughput", "bulk-1m", "gb_per_s", Bound(1.5, "envoy"), Bound(2.5, "envoy"), least=True),
    Goal("CPU per byte", "bulk-1m", "cpu_s_per_gb", Bound(0.7, "envoy")),
    Goal("memory at rest", "idle", "rss_idle_mb", Bound(8), Bound(5)),
    Goal("memory with 64 busy connections", "pair-http1-64", "rss_loaded_mb", Bound(14), Bound(10)),
    Goal("memory of an idle connection", "idle-1000", "kb_per_connection", Bound(12), Bound(6)),
    Goal("memory 30 s after a burst", "idle-10000", "rss_after_mb", Bound(1.5, metric="rss_idle_mb")),
    Goal("start to ready", "start", "ready_ms", Bound(30), Bound(15)),
    Goal("first request", "start", "first_request_ms", Bound(10), Bound(5)),
    Goal(
        "CPU per request with two workers",
        "workers-2",
        "cpu_us_per_request",
        Bound(1.1, scenario="workers-1"),
        Bound(1.03, scenario="workers-1"),
    ),
)


class Verdict(StrEnum):
    """Of one bound."""

    MET = "met"
    MISSED = "missed"
    UNMEASURED = "not measured"
    NONE = ""
    """There is no such bound."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the records say to a bound: the ratio, or the figure where the bound is absolute."""

    verdict: Verdict
    value: float | None = None


class Results:
    """Records by scenario, peer and metric."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = {(record.scenario, record.peer, record.metric): record for record in records}

    def median(self, scenario: str, peer: str, metric: str) -> float | None:
        """The figure, where it was measured."""
        record = self._records.get((scenario, peer, metric))
        return record.median if record else None

    def judge(self, goal: Goal, bound: Bound | None) -> Found:
        """Whether one of the goal's bounds is kept."""
        if bound is None:
            return Found(Verdict.NONE)
        value = self._value(goal, bound)
        if value is None:
            return Found(Verdict.UNMEASURED)
        kept = value >= bound.limit if goal.least else value <= bound.limit
        return Found(Verdict.MET if kept else Verdict.MISSED, value)

    def _value(self, goal: Goal, bound: Bound) -> float | None:
        ours = self._figure(goal, goal.scenario, OURS, goal.metric)
        if ours is None or bound.absolute:
            return ours
        other = self._figure(goal, bound.scenario or goal.scenario, bound.peer or OURS, bound.metric or goal.metric)
        # A peer that adds nothing to a direct connection has disappeared in the noise: no ratio says anything then.
        return ours / other if other is not None and other > 0 else None

    def _figure(self, goal: Goal, scenario: str, peer: str, metric: str) -> float | None:
        median = self.median(scenario, peer, metric)
        direct = self.median(scenario, DIRECT, metric) if goal.added else 0.0
        return median - direct if median is not None and direct is not None else None
