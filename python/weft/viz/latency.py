"""Percentiles from a histogram's cumulative buckets. Pure."""

import math
from collections.abc import Mapping


def percentile(buckets: Mapping[float, float], rank: float) -> float | None:
    """The value below which `rank` (0..1) of the counts lie, linear within a bucket; None without counts.

    `buckets` maps upper bounds, infinity included, to cumulative counts. Beyond the last finite bound: that bound.
    """
    total = buckets.get(math.inf, max(buckets.values(), default=0.0))
    if total <= 0:
        return None
    wanted = rank * total
    lower, below = 0.0, 0.0
    for bound in sorted(buckets):
        count = buckets[bound]
        if count >= wanted:
            if math.isinf(bound):
                return lower
            share = (wanted - below) / (count - below) if count > below else 1.0
            return lower + (bound - lower) * share
        lower, below = bound, count
    return lower
