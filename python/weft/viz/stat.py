"""`weft stat`: success, rate and latency of each workload, from what its replicas' inbound proxies counted. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from weft.viz.latency import percentile
from weft.viz.ring import Growth

Workloads = Mapping[str, tuple[str, str, str, bool]]
"""Replica key -> namespace, workload, identity, whether meshed."""


@dataclass(slots=True)
class _Sums:
    meshed: int = 0
    replicas: int = 0
    succeeded: float = 0.0
    failed: float = 0.0
    rate: float = 0.0
    connections: float = 0.0
    read: float = 0.0
    written: float = 0.0
    buckets: dict[float, float] = field(default_factory=lambda: defaultdict(float))


def rows(window: Iterable[Growth], workloads: Workloads) -> list[dict[str, object]]:
    """One row per workload, by namespace and name; numbers are None where nothing was measured."""
    sums: dict[tuple[str, str], _Sums] = defaultdict(_Sums)
    for namespace, workload, _, meshed in workloads.values():
        own = sums[(namespace, workload)]
        own.replicas += 1
        own.meshed += meshed
    for growth in window:
        if growth.source in workloads:
            namespace, workload, _, _ = workloads[growth.source]
            _add(sums[(namespace, workload)], growth)
    return [_row(namespace, workload, sums[(namespace, workload)]) for namespace, workload in sorted(sums)]


def _add(sums: _Sums, growth: Growth) -> None:
    for series, grown in growth.grown.items():
        if series.label("direction") != "inbound" or series.label("target_port") in OWN_PORTS:
            continue
        if series.name == "response_total":
            sums.rate += grown / growth.seconds
            if series.label("classification") == "failure":
                sums.failed += grown
            else:
                sums.succeeded += grown
        elif series.name == "response_latency_ms_bucket":
            sums.buckets[float(series.label("le"))] += grown
        elif series.label("peer") != "dst" and series.name == "tcp_read_bytes_total":
            sums.read += grown / growth.seconds
        elif series.label("peer") != "dst" and series.name == "tcp_write_bytes_total":
            sums.written += grown / growth.seconds
    for series, value in growth.now.items():
        wanted = series.name == "tcp_open_connections" and series.label("direction") == "inbound"
        if wanted and series.label("peer") == "src" and series.label("target_port") not in OWN_PORTS:
            sums.connections += value


def _row(namespace: str, workload: str, sums: _Sums) -> dict[str, object]:
    total = sums.succeeded + sums.failed
    measured = sums.meshed > 0
    return {
        "namespace": namespace,
        "name": workload,
        "meshed": f"{sums.meshed}/{sums.replicas}",
        "success": sums.succeeded / total if total else None,
        "rps": sums.rate if total else None,
        "latency_p50_ms": percentile(sums.buckets, 0.50),
        "latency_p95_ms": percentile(sums.buckets, 0.95),
        "latency_p99_ms": percentile(sums.buckets, 0.99),
        "tcp_connections": int(sums.connections) if measured else None,
        "read_bytes_per_second": sums.read if measured else None,
        "write_bytes_per_second": sums.written if measured else None,
    }


OWN_PORTS = frozenset({"4190", "4191"})
"""Traffic to the proxy itself, such as the reading of these very metrics."""
