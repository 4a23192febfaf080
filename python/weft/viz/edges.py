"""`weft edges`: who talks to whom and with which identities, from what outbound and inbound proxies counted. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from weft.viz.ring import Growth
from weft.viz.samples import Series
from weft.viz.stat import Workloads

_Key = tuple[str, str, str, str]
"""Source namespace and workload, destination namespace and workload."""


@dataclass(slots=True)
class _Seen:
    tls: set[str] = field(default_factory=set)
    server_ids: set[str] = field(default_factory=set)


def rows(window: Iterable[Growth], workloads: Workloads) -> list[dict[str, object]]:
    """One row per pair that exchanged anything in the window; `client_id` is what the destination itself saw."""
    seen: dict[_Key, _Seen] = defaultdict(_Seen)
    clients: dict[tuple[str, str], set[str]] = defaultdict(set)
    for growth in window:
        source = workloads.get(growth.source)
        if source is None:
            continue
        for series, grown in growth.grown.items():
            if series.name not in _COUNTERS or not (grown > 0 or _open(series, growth)):
                continue
            if series.label("direction") == "inbound":
                if client := series.label("client_id"):
                    clients[source[:2]].add(client)
            elif (called := destination(series)) is not None:
                pair = seen[(*source[:2], *called)]
                pair.tls.add(series.label("tls"))
                if server := series.label("server_id"):
                    pair.server_ids.add(server)
    identities = {(namespace, workload): identity for namespace, workload, identity, _ in workloads.values()}
    return [_row(key, seen[key], identities.get(key[:2], ""), clients) for key in sorted(seen)]


def _row(key: _Key, seen: _Seen, own: str, clients: dict[tuple[str, str], set[str]]) -> dict[str, object]:
    secured = seen.tls == {"true"}
    return {
        "src": key[1],
        "dst": key[3],
        "src_namespace": key[0],
        "dst_namespace": key[2],
        "secured": secured,
        "client_id": own if secured and own in clients[key[2:]] else "",
        "server_id": ",".join(sorted(seen.server_ids)),
    }


def destination(series: Series) -> tuple[str, str] | None:
    """Which workload an outbound series is about; None when it is not about a workload of the mesh."""
    if series.label("peer") == "src":
        return None
    namespace = series.label("dst_namespace")
    name = series.label("dst_deployment") or series.label("dst_workload")
    if not name and (pod := series.label("dst_pod")):
        name = pod.rpartition("-")[0]
    name = name or series.label("dst_service")
    return (namespace or "default", name) if name else None


def _open(series: Series, growth: Growth) -> bool:
    """A connection that was opened before the window and lasts still counts as an exchange."""
    if series.name != "tcp_open_total":
        return False
    return growth.now.get(Series("tcp_open_connections", series.labels), 0.0) > 0


_COUNTERS = frozenset({"response_total", "tcp_open_total"})
