"""Figures: a metric's samples become one record with median and spread. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

UNITS: Mapping[str, str] = {
    "cpu_us_per_request": "us",
    "requests_per_s": "1/s",
    "p50_ms": "ms",
    "p99_ms": "ms",
    "cores": "cores",
    "gb_per_s": "GB/s",
    "cpu_s_per_gb": "s/GB",
    "rss_idle_mb": "MB",
    "rss_loaded_mb": "MB",
    "rss_after_mb": "MB",
    "kb_per_connection": "KB",
    "kb_per_destination": "KB",
    "bytes_per_series": "B",
    "ready_ms": "ms",
    "first_request_ms": "ms",
}


@dataclass(frozen=True, slots=True)
class Record:
    """The samples of one metric for one peer in one scenario. Field names are those of the results file."""

    scenario: str
    peer: str
    metric: str
    unit: str
    median: float
    low: float
    high: float
    runs: int


class Samples:
    """Collects samples by (scenario, peer, metric), in the order in which they first appear."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str, str], list[float]] = {}

    def add(self, scenario: str, peer: str, values: Mapping[str, float]) -> None:
        """One repetition's figures."""
        for metric, value in values.items():
            self._values.setdefault((scenario, peer, metric), []).append(value)

    def records(self) -> list[Record]:
        """One record for each metric, those of a scenario together."""
        scenarios = list(dict.fromkeys(scenario for scenario, _, _ in self._values))
        records = [
            Record(scenario, peer, metric, UNITS[metric], median(values), min(values), max(values), len(values))
            for (scenario, peer, metric), values in self._values.items()
        ]
        return sorted(records, key=lambda record: scenarios.index(record.scenario))


def percentile(ordered: Sequence[float], part: float) -> float:
    """The value below which `part` (0..1) of the sorted samples lie: the nearest rank. 0 without samples."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
