"""What the proxies say when something goes wrong, what they try again, and which headers they believe."""

from collections.abc import Iterator

import pytest
import yaml
from tests.e2e import faults
from tests.e2e.applications import FILES, UNMESHED, Python, idle, text
from tests.e2e.applications import ask as converse
from tests.e2e.faults import ask, asks, faulty

from weft.testing import Mesh

pytestmark = pytest.mark.e2e
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: hurried}
spec:
  parentRefs: [{name: one, kind: Service, group: ""}]
  rules:
  - matches: [{path: {type: Exact, value: /hang}}]
    timeouts: {request: 300ms}
    backendRefs: [{name: one, port: 8080}]
  - backendRefs: [{name: one, port: 8080}]
"""
PATIENT = """
apiVersion: v1
kind: Service
metadata:
  name: patient
  annotations: {retry.linkerd.io/http: 5xx, retry.linkerd.io/limit: "2", timeout.linkerd.io/request: 3s}
spec:
  selector: {mesh.weft.dev/workload: one}
  ports: [{port: 8080}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: patient
  annotations: {retry.linkerd.io/http: "503", retry.linkerd.io/timeout: 300ms}
spec:
  parentRefs: [{name: patient, kind: Service, group: ""}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /late}}]
  - matches: [{path: {type: PathPrefix, value: /fail/routed}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: plain}
spec:
  parentRefs: [{name: patient, kind: Service, group: ""}]
  rules: [{}]
"""
CLIENT = "client.default.serviceaccount.identity.weft.cluster.local"
SERVER = "one.default.serviceaccount.identity.weft.cluster.local"
FORGED = {
    "l5d-client-id": "forged",
    "l5d-orig-proto": "HTTP/1.0; absolute-form",
    "l5d-proxy-error": "forged",
    "l5d-proxy-connection": "close",
    "weft-not-delivered": "forged",
    "l5d-timeout": "30s",
    "x-own": "stays",
}


@pytest.fixture(scope="module")
def mesh(python: Python) -> Iterator[Mesh]:
    documents = (
        faulty("one"),
        faulty("two", 2),
        faulty("bare", **UNMESHED),
        python.server("grpc"),
        idle("client"),
        idle("stranger", **UNMESHED),
        idle("ingress", **{"linkerd.io/inject": "ingress"}),
        yaml.safe_load(ROUTE),
        *yaml.safe_load_all(PATIENT),
    )
    with Mesh(text(*documents), FILES, "refusals", ["--allow-l5d-request-headers"]) as mesh:
        yield mesh


@pytest.mark.parametrize(("client", "known"), [("client-0", CLIENT), ("stranger-0", None)])
def test_nobody_but_a_proxy_names_the_caller(mesh: Mesh, client: str, known: str | None) -> None:
    """Requirement: headers that only a proxy may set are taken off what applications and strangers send, and the
    application sees the identity that was proved, or none; what an application asks of its own proxy goes no further.
    """
    (seen,) = asks(mesh, client, "one", ("GET", "/seen", FORGED, 0))
    headers = seen.body["headers"]
    assert headers.get("l5d-client-id") == known
    assert headers["x-own"] == "stays"
    assert not {"l5d-orig-proto", "l5d-proxy-error", "l5d-proxy-connection", "weft-not-delivered"} & headers.keys()
    assert ("l5d-timeout" in headers) == (known is None)  # a stranger has no proxy that reads it


@pytest.mark.parametrize("server", ["one", "bare"])
def test_an_application_cannot_pretend_to_be_a_proxy(mesh: Mesh, server: str) -> None:
    """Requirement: a server's forged headers do not reach the client, whether the server is in the mesh or not, and do
    not close the client's connection.
    """
    forged, after = asks(mesh, "client-0", server, ("GET", "/forge", {}, 0), ("GET", "/seen", {}, 0))
    assert forged.status == after.status == 200
    names = forged.headers.keys()
    assert not {"l5d-client-id", "l5d-orig-proto", "l5d-proxy-error", "weft-not-delivered", "connection"} & names


def test_a_kept_connection_that_ends_costs_no_idempotent_request(mesh: Mesh) -> None:
    """Requirement (a defect once: 502): the application closes an idle connection just as a request is sent on it. One
    that may be repeated is, on a fresh connection, and once; one that may not is answered 502.
    """
    seen, again = asks(mesh, "client-0", "one", ("GET", "/seen", {}, 0), ("GET", "/stale/get", {}, 0))
    assert (seen.status, again.status) == (200, 200)
    assert again.body["tries"] == 2
    seen, refused, count = asks(
        mesh, "client-0", "one", ("GET", "/seen", {}, 0), ("POST", "/stale/post", {}, 10), ("GET", "/count/post", {}, 0)
    )
    assert (seen.status, refused.status, count.body) == (200, 502, 1)
    assert "server_broke" in faults.rows(mesh, "one-0")


def test_what_was_not_delivered_goes_to_another_endpoint(mesh: Mesh) -> None:
    """Requirement: the proxy of an application that takes no connections says so to the client's proxy, which sends
    even a POST with its body to another endpoint; nobody else sees the word.
    """
    address = mesh.replicas()["two-0"]["address"]
    assert ask(mesh, address, "/deaf", replica="stranger-0").status == 200
    answers = [ask(mesh, "two", "/seen", "POST", 5000) for _ in range(6)]
    assert [(each.status, each.body["body"]) for each in answers] == [(200, 5000)] * 6
    assert mesh.counted("client-0", "response_total", {"dst_pod": "two-0", "status_code": "502"}) >= 1
    (stranger,) = asks(mesh, "stranger-0", address, ("GET", "/seen", {}, 0))
    assert stranger.status == 502
    assert not {"l5d-proxy-error", "weft-not-delivered"} & stranger.headers.keys()
    assert ask(mesh, mesh.replicas()["two-1"]["address"], "/deaf", replica="stranger-0").status == 200
    gone = ask(mesh, "two", "/seen", "POST", 5000)
    assert gone.status in (502, 504)
    assert "connecting to" in gone.headers["l5d-proxy-error"]
    assert "weft-not-delivered" not in gone.headers
    assert faults.rows(mesh, "two-0", "client-0") >= {"connect_failed"}


def test_retries_that_a_request_asks_for(mesh: Mesh) -> None:
    """Requirement: where the control plane lets requests ask, answers that they name are tried again up to their limit,
    with the same body; a body too large to keep and an answer they do not name are not.
    """
    asked = {"l5d_retry_http": "5xx", "l5d_retry_limit": "2"}

    def counts() -> list[float]:
        names = ("requests", "successes", "limit_exceeded", "overflow")
        return [mesh.counted("client-0", f"outbound_http_route_retry_{name}_total") for name in names]

    assert ask(mesh, "one", "/fail/plain/1/503").status == 503
    assert counts() == [0, 0, 0, 0]
    assert ask(mesh, "one", "/fail/fetched/2/503", **asked).body["tries"] == 3
    assert counts() == [2, 1, 0, 0]
    again = ask(mesh, "one", "/fail/posted/2/500", "POST", 60_000, **asked)
    assert (again.status, again.body["tries"], again.body["body"]) == (200, 3, 60_000)
    assert counts() == [4, 2, 0, 0]
    assert ask(mesh, "one", "/fail/spent/3/503", **asked).status == 503
    assert ask(mesh, "one", "/count/spent").body == 3
    assert counts() == [6, 2, 1, 0]
    assert ask(mesh, "one", "/fail/large/1/503", "POST", 200_000, **asked).status == 503
    assert ask(mesh, "one", "/count/large").body == 1
    assert ask(mesh, "one", "/fail/other/1/404", **asked).status == 404
    assert counts() == [6, 2, 1, 1]


def test_timeouts_of_routes_and_requests(mesh: Mesh) -> None:
    """Requirement: the timeouts of a route and those that a request asks for are kept, in time: 504, or an answer that
    breaks off; an attempt that takes too long may be tried again.
    """
    routed = ask(mesh, "one", "/hang")
    assert (routed.status, "timeout" in routed.headers["l5d-proxy-error"]) == (504, True)
    lifted = ask(mesh, "one", "/hang", l5d_timeout="0", l5d_response_timeout="600ms")
    assert (lifted.status, lifted.seconds >= 0.6) == (504, True)
    assert ask(mesh, "one", "/part", l5d_request_timeout="300ms").status == 0
    late = ask(mesh, "one", "/late/try", l5d_retry_http="5xx", l5d_retry_timeout="200ms")
    assert (late.status, late.body["tries"]) == (200, 2)
    assert "timeout" in faults.rows(mesh, "client-0")


def test_retries_and_timeouts_that_annotations_set(mesh: Mesh) -> None:
    """Requirement: the annotations of a Service hold for requests to it; those of a route replace them for its own."""
    again = ask(mesh, "patient", "/fail/serviced/2/500")
    assert (again.status, again.body and again.body["tries"]) == (200, 3), again
    assert ask(mesh, "patient", "/hang").status == 504
    assert ask(mesh, "patient", "/fail/routed/2/503").status == 503
    assert ask(mesh, "patient", "/count/routed").body == 2
    late = ask(mesh, "patient", "/late/annotated")
    assert (late.status, late.body["tries"]) == (200, 2)


def test_a_request_can_demand_its_servers_identity(mesh: Mesh) -> None:
    """Requirement: `l5d-require-id` is met by a server that proved that name, else the request is refused with 502."""
    assert ask(mesh, "one", "/seen", l5d_require_id=SERVER).status == 200
    for server, wanted in (("one", CLIENT), ("one", "no identity"), ("bare", SERVER)):
        refused = ask(mesh, server, "/seen", l5d_require_id=wanted)
        assert (refused.status, "l5d-require-id" in refused.headers["l5d-proxy-error"]) == (502, True)
    assert "identity_mismatch" in faults.rows(mesh, "client-0")


def test_grpc_retries(mesh: Mesh, python: Python) -> None:
    """Requirement: a gRPC call that ends at once with a code that it names is tried again, and one that has sent a
    message is not.
    """
    said = converse(mesh, python, "client-0", "rpc.py", "retried", "grpc:8080")
    assert said == {"answer": "third", "code": "OK", "unnamed": "UNAVAILABLE", "begun": ["one", "UNAVAILABLE"]}


def test_an_ingress_controller_names_where_a_request_goes(mesh: Mesh) -> None:
    """Requirement: in ingress mode `l5d-dst-override` decides, whatever address the request was sent to, and goes no
    further; without it nothing changes, and a name of nothing is 404. Elsewhere the header decides nothing.
    """
    named = "one.default.svc.cluster.local:8080"
    seen = ask(mesh, "bare", "/seen", replica="ingress-0", l5d_dst_override=named)
    assert seen.body["headers"]["l5d-client-id"].startswith("ingress.default.")
    assert "l5d-dst-override" not in seen.body["headers"]
    assert "l5d-client-id" not in ask(mesh, "bare", "/seen", replica="ingress-0").body["headers"]
    nothing = ask(mesh, "bare", "/seen", replica="ingress-0", l5d_dst_override="none.default.svc.cluster.local:80")
    assert (nothing.status, "no destination" in nothing.headers["l5d-proxy-error"]) == (404, True)
    assert "l5d-client-id" not in ask(mesh, "bare", "/seen", l5d_dst_override=named).body["headers"]
