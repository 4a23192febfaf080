"""`weft stat --routes`: success, rate and latency of each route, as the clients' outbound proxies saw them. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from weft.viz.latency import percentile
from weft.viz.ring import Growth
from weft.viz.samples import Series

_Key = tuple[str, str, str, str]
"""Namespace and name of the parent Service, kind and name of the route."""


@dataclass(slots=True)
class _Sums:
    succeeded: float = 0.0
    failed: float = 0.0
    rate: float = 0.0
    buckets: dict[float, float] = field(default_factory=lambda: defaultdict(float))


def rows(window: Iterable[Growth]) -> list[dict[str, object]]:
    """One row per route of a Service that was asked for anything."""
    sums: dict[_Key, _Sums] = defaultdict(_Sums)
    for growth in window:
        for series, grown in growth.grown.items():
            if not series.name.startswith(_FAMILIES):
                continue
            own = sums[_key(series)]
            if series.name.endswith("_duration_seconds_bucket"):
                own.buckets[float(series.label("le")) * 1000] += grown
                continue
            own.rate += grown / growth.seconds
            if _failed(series):
                own.failed += grown
            else:
                own.succeeded += grown
    return [_row(key, own) for key, own in sorted(sums.items()) if own.succeeded + own.failed > 0]


def _row(key: _Key, sums: _Sums) -> dict[str, object]:
    namespace, service, kind, route = key
    return {
        "namespace": namespace,
        "service": service,
        "kind": kind,
        "route": route,
        "success": sums.succeeded / (sums.succeeded + sums.failed),
        "rps": sums.rate,
        "latency_p50_ms": percentile(sums.buckets, 0.50),
        "latency_p95_ms": percentile(sums.buckets, 0.95),
        "latency_p99_ms": percentile(sums.buckets, 0.99),
    }


def _key(series: Series) -> _Key:
    parent = series.label("parent_namespace"), series.label("parent_name")
    return (*parent, series.label("route_kind") or "default", series.label("route_name"))


def _failed(series: Series) -> bool:
    """Linkerd's default classification: an error without a status, HTTP 5xx, and the gRPC codes that blame the server."""
    if series.label("error") or series.label("http_status").startswith("5"):
        return True
    return series.label("grpc_status").upper() in _FAILED_GRPC


_FAMILIES = ("outbound_http_route_request_", "outbound_grpc_route_request_")
_FAILED_GRPC = frozenset(
    {
        "UNKNOWN",
        "DEADLINE_EXCEEDED",
        "PERMISSION_DENIED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "2",
        "4",
        "7",
        "13",
        "14",
        "15",
    }
)
