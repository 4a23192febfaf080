"""The traffic columns of `weft authz`: what each grant let in and how that went, and what was refused. Pure."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from weft.viz.latency import percentile
from weft.viz.ring import Growth
from weft.viz.samples import Series
from weft.viz.stat import OWN_PORTS

Row = dict[str, object]
_Key = tuple[str, str, str, str]
"""Route, Server, kind and name of the grant as metrics have them; both of the latter empty for what was refused."""


@dataclass(slots=True)
class _Sums:
    succeeded: float = 0.0
    failed: float = 0.0
    rate: float = 0.0
    refused: float = 0.0
    buckets: dict[float, float] = field(default_factory=lambda: defaultdict(float))


def rows(window: Iterable[Growth], sources: Container[str]) -> list[Row]:
    """One row per route, Server and grant that anything came in by at these replicas, and one per refusing pair."""
    sums: dict[_Key, _Sums] = defaultdict(_Sums)
    for growth in window:
        if growth.source not in sources:
            continue
        for series, grown in growth.grown.items():
            if grown > 0 and series.label("srv_name") and series.label("target_port") not in OWN_PORTS:
                _add(sums[_key(series)], series, grown, growth.seconds)
    return [_row(key, own) for key, own in sorted(sums.items()) if own.refused or own.succeeded or own.failed]


def joined(grants: Sequence[Mapping[str, object]], measured: Iterable[Row]) -> list[Row]:
    """The grants of the documents with what was measured of each; what belongs to none of them stands behind."""
    found: list[Row] = [{**grant, **_NOTHING} for grant in grants]
    behind: list[Row] = []
    for row in measured:
        traffic = {column: row[column] for column in _NOTHING}
        kind, name = str(row["authorization_kind"]), row["authorization"]
        column = _COLUMNS.get(kind, "")
        meant = [each for each in found if column and (each["server"], each[column]) == (row["server"], name)]
        own = [each for each in meant if each["route"] == row["route"]]
        # A grant on the whole port is asked also where no route is told.
        own = own or [each for each in meant if each["route"] == EVERY_ROUTE and row["route"] == DEFAULT_ROUTE]
        if own:
            own[0].update(traffic)
        else:
            columns = {each: name if each == column else "" for each in _COLUMNS.values()}
            behind.append({"route": row["route"], "server": row["server"], **columns, **traffic})
    return [*found, *behind]


def _add(own: _Sums, series: Series, grown: float, seconds: float) -> None:
    if series.name in REFUSALS:
        own.refused += grown / seconds
    elif series.label("direction") != "inbound" or not series.label("authz_name"):
        return
    elif series.name == "response_total":
        own.rate += grown / seconds
        if series.label("classification") == "failure":
            own.failed += grown
        else:
            own.succeeded += grown
    elif series.name == "response_latency_ms_bucket":
        own.buckets[float(series.label("le"))] += grown


def _key(series: Series) -> _Key:
    server = series.label("srv_name")
    if series.label("srv_kind") == "default":
        server = f"default:{server}"
    route = series.label("route_name") or DEFAULT_ROUTE
    return route, server, series.label("authz_kind"), series.label("authz_name")


def _row(key: _Key, own: _Sums) -> Row:
    total = own.succeeded + own.failed
    return {
        "route": key[0],
        "server": key[1],
        "authorization_kind": key[2],
        "authorization": key[3],
        "unauthorized_rps": own.refused or None,
        "success": own.succeeded / total if total else None,
        "rps": own.rate if total else None,
        "latency_p50_ms": percentile(own.buckets, 0.50),
        "latency_p95_ms": percentile(own.buckets, 0.95),
        "latency_p99_ms": percentile(own.buckets, 0.99),
    }


EVERY_ROUTE, DEFAULT_ROUTE = "*", "default"
REFUSALS = frozenset({"inbound_http_authz_deny_total", "inbound_tcp_authz_deny_total"})
_COLUMNS = {
    "authorizationpolicy": "authorization_policy",
    "serverauthorization": "server_authorization",
    "default": "default",
}
"""Kind of a grant -> column of `weft authz`."""
_NOTHING: Row = {
    "unauthorized_rps": None,
    "success": None,
    "rps": None,
    "latency_p50_ms": None,
    "latency_p95_ms": None,
    "latency_p99_ms": None,
}
