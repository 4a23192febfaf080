"""The mesh's own tables, turned into what the demo judges."""

from weft.demo import reading, verdict
from weft.viz import callers, edges, routes, stat
from weft.viz.ring import Growth
from weft.viz.samples import Series

IDENTITY = "{}.default.serviceaccount.identity.weft.cluster.local"
WORKLOADS = {
    f"default/{name}-{n}": ("default", name, IDENTITY.format(name), True)
    for name, n in (("poller", 0), ("loadgen", 0), ("prices", 0), ("prices", 1))
}
SECONDS = 10.0


def growth(source: str, *counted: tuple[Series, float]) -> Growth:
    return Growth(f"default/{source}", SECONDS, dict(counted), dict(counted))


def series(name: str, **labels: str) -> Series:
    return Series(name, tuple(sorted(labels.items())))


def outbound(calls: float) -> tuple[Series, float]:
    called = {
        "dst_service": "prices",
        "dst_namespace": "default",
        "tls": "true",
        "server_id": IDENTITY.format("prices"),
    }
    return series("response_total", direction="outbound", classification="success", **called), calls


def inbound(client: str, classification: str, calls: float) -> tuple[Series, float]:
    labels = {"direction": "inbound", "tls": "true", "client_id": IDENTITY.format(client), "target_port": "8080"}
    return series("response_total", classification=classification, **labels), calls


def route(name: str, status: str, calls: float) -> tuple[Series, float]:
    labels = {"parent_name": "prices", "parent_namespace": "default", "route_kind": "GRPCRoute", "route_name": name}
    return series("outbound_grpc_route_request_statuses_total", grpc_status=status, **labels), calls


WINDOW = [
    growth("poller-0", outbound(2000), route("prices-quote", "OK", 2000)),
    growth("loadgen-0", outbound(100), route("prices-discount", "OK", 90), route("prices-discount", "INTERNAL", 10)),
    growth("prices-0", inbound("poller", "success", 1000), inbound("loadgen", "success", 50)),
    growth("prices-1", inbound("poller", "success", 1000), inbound("loadgen", "failure", 10)),
]


class Measured:
    """Answers as a running mesh does, from one window of readings."""

    def rows(self, table: str, window: int, **more: str) -> list[dict[str, object]]:
        if table == "edges":
            return edges.rows(WINDOW, WORKLOADS)
        if table == "routes":
            return routes.rows(WINDOW)
        if table == "callers":
            return callers.rows(WINDOW, WORKLOADS)
        assert (table, more) == ("stat", {"by": "replica"})
        single = {key: (each[0], key.partition("/")[2], *each[2:]) for key, each in WORKLOADS.items()}
        return stat.rows(WINDOW, single)


def test_edges_have_both_identities():
    """Requirement: an edge is secured when both sides saw the other's identity."""
    pairs = {(e.src, e.dst): e for e in reading.edges(Measured(), 10)}
    edge = pairs["poller", "prices"]
    assert edge.secured
    assert (edge.client_id, edge.server_id) == (IDENTITY.format("poller"), IDENTITY.format("prices"))


def test_methods_callers_and_replicas_lead_to_the_findings():
    """Requirement: from the mesh's tables the demo finds the faulty method, its replica, and the eager client."""
    methods, rates, replicas = reading.findings(Measured(), 10)
    assert verdict.wrong_findings(methods, rates) == []
    (ill,) = verdict.failing(methods)
    assert ill.success == 0.9
    assert verdict.culprit(ill, replicas) == "prices-1"
    caller, times = verdict.too_often(rates) or (None, 0)
    assert (caller, round(times)) == (verdict.Caller("poller", "prices", 200.0), 20)
