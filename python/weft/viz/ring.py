"""The last ten minutes of every proxy's readings, and how much each counter grew in a window. No clock of its own."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from weft.viz.samples import Sample, Series


@dataclass(frozen=True, slots=True)
class Growth:
    """What one proxy counted in a window: `seconds` long, `grown` for counters, `now` as last read."""

    source: str
    seconds: float
    grown: Mapping[Series, float]
    now: Sample


@dataclass(slots=True)
class Ring:
    """Readings by source; bounded in time, in number and in sources."""

    _readings: dict[str, deque[tuple[float, Sample]]] = field(default_factory=dict)

    def add(self, source: str, moment: float, sample: Sample) -> None:
        """One reading at `moment` (monotonic seconds)."""
        if source not in self._readings and len(self._readings) >= MAX_SOURCES:
            oldest = min(self._readings, key=lambda each: self._readings[each][-1][0])
            del self._readings[oldest]
        readings = self._readings.setdefault(source, deque(maxlen=MAX_READINGS))
        readings.append((moment, sample))
        for stale in [each for each, kept in self._readings.items() if moment - kept[-1][0] > SPAN]:
            del self._readings[stale]

    def window(self, now: float, seconds: float) -> Iterator[Growth]:
        """The growth of every source that was read in the last `seconds`; a counter that fell started again from zero."""
        for source, readings in self._readings.items():
            inside = [reading for reading in readings if now - reading[0] <= seconds]
            if not inside:
                continue
            before = next((reading for reading in reversed(readings) if now - reading[0] > seconds), None)
            first_moment, first = before or inside[0]
            if before is None and readings[0] is inside[0]:
                first = {}  # the source is younger than the window: everything that it counted is inside
            grown: dict[Series, float] = {}
            last = first
            for _, sample in inside:
                for series, value in sample.items():
                    earlier = last.get(series, 0.0)
                    grown[series] = grown.get(series, 0.0) + (value - earlier if value >= earlier else value)
                last = sample
            yield Growth(source, max(now - first_moment, MIN_SECONDS), grown, inside[-1][1])


SPAN = 600.0
MAX_READINGS = 300
MAX_SOURCES = 1000
MIN_SECONDS = 2.0
