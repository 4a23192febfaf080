"""How often each workload calls each other one, from what the clients' outbound proxies counted. Pure."""

from collections import defaultdict
from collections.abc import Iterable

from weft.viz.edges import destination
from weft.viz.ring import Growth
from weft.viz.stat import Workloads


def rows(window: Iterable[Growth], workloads: Workloads) -> list[dict[str, object]]:
    """One row per pair of workloads with requests in the window: who, whom, and requests a second."""
    rates: dict[tuple[str, str, str, str], float] = defaultdict(float)
    for growth in window:
        source = workloads.get(growth.source)
        if source is None:
            continue
        for series, grown in growth.grown.items():
            if series.name != "response_total" or series.label("direction") != "outbound":
                continue
            if (called := destination(series)) is not None:
                rates[(*source[:2], *called)] += grown / growth.seconds
    return [
        {"src": src, "dst": dst, "src_namespace": src_namespace, "dst_namespace": dst_namespace, "rps": rate}
        for (src_namespace, src, dst_namespace, dst), rate in sorted(rates.items())
        if rate > 0
    ]
