"""Whether one build costs more than another: the ratio of paired runs with its confidence interval. Pure.

Run i of both builds was measured one right after the other, so what disturbs the machine for longer than a run is in
both and leaves their ratio. Ratios are averaged as logarithms: twice and half as much cancel out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import fmean, stdev

TOLERANCE = 1.03
"""A build is worse only when all of its interval lies above: less cannot be told from the machine's moods."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Cost of ours over theirs: the mean ratio and the two ends of its 95 % confidence interval."""

    ratio: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """One word or two for a table."""
        if self.low > TOLERANCE:
            return "worse"
        return "better" if self.high < 1 / TOLERANCE else "not worse"


def compare(ours: Sequence[float], theirs: Sequence[float]) -> Comparison:
    """Compare paired costs, all above zero. Raises ValueError with fewer than two pairs."""
    logarithms = [log(a / b) for a, b in zip(ours, theirs, strict=True)]
    if len(logarithms) < 2:
        raise ValueError("an interval needs two pairs of runs")
    mean = fmean(logarithms)
    reach = t_975(len(logarithms) - 1) * stdev(logarithms) / sqrt(len(logarithms))
    return Comparison(exp(mean), exp(mean - reach), exp(mean + reach))


def t_975(degrees: int) -> float:
    """Student's t below which 97.5 % lie; between the table's rows the row above, which gives the wider interval."""
    return next(value for least, value in reversed(_T_975) if degrees >= least)


_T_975 = (
    (1, 12.706),
    (2, 4.303),
    (3, 3.182),
    (4, 2.776),
    (5, 2.571),
    (6, 2.447),
    (7, 2.365),
    (8, 2.306),
    (9, 2.262),
    (10, 2.228),
    (11, 2.201),
    (12, 2.179),
    (13, 2.160),
    (14, 2.145),
    (15, 2.131),
    (16, 2.120),
    (17, 2.110),
    (18, 2.101),
    (19, 2.093),
    (20, 2.086),
    (25, 2.060),
    (30, 2.042),
    (40, 2.021),
    (60, 2.000),
    (120, 1.980),
)
