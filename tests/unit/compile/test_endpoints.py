"""Endpoints: a Service's selector over ready pods, and how each pod is reached."""

import pytest
from tests.meshes import WEB, pod, snapshot

from weft.compile import EndpointsOf, answer
from weft.compile.answer import Address, Code, Endpoint, Endpoints, Unanswerable
from weft.compile.authority import Authority, parse
from weft.model.snapshot import Snapshot


def endpoints(mesh: Snapshot, port: int = 80, service: str = "web", instance: str = "") -> list[Endpoint]:
    result, _ = answer(mesh, EndpointsOf(Authority(service, "default", port, instance)))
    assert isinstance(result, Endpoints)
    assert result.exists
    return sorted(result.endpoints.values(), key=lambda one: one.address)


def test_ready_pods_that_match_are_the_endpoints_at_their_target_port() -> None:
    """Requirement: not ready, other labels and other namespaces are left out; a named target port is the pod's."""
    mesh = snapshot(
        WEB,
        pod("web-0", "10.0.0.1"),
        pod("web-1", "10.0.0.2", ready=False),
        pod("api-0", "10.0.0.3", app="api"),
        pod("web-0", "10.0.0.4", namespace="other"),
    )
    assert [one.address for one in endpoints(mesh)] == [Address("10.0.0.1", 8080)]


def test_a_meshed_pod_has_identity_http2_and_the_inbound_port() -> None:
    """Requirement: the hint and the identity that mTLS through 4143 needs, and the labels of Linkerd's metrics."""
    (one,) = endpoints(snapshot(WEB, pod("web-0", "10.0.0.1")))
    assert one.identity == "web.default.serviceaccount.identity.weft.cluster.local"
    assert (one.http2, one.opaque, one.inbound_port) == (True, False, 4143)
    assert one.labels == {"pod": "web-0", "serviceaccount": "web", "control_plane_ns": "weft"}


@pytest.mark.parametrize(
    ("changes", "identity", "inbound"),
    [
        ({"meshed": ""}, False, 0),
        ({"meshed": "linkerd"}, False, 4143),
        ({"annotations": "config.linkerd.io/skip-inbound-ports: '8000-9000'"}, False, 0),
    ],
)
def test_pods_that_cannot_be_verified_have_no_identity(changes: dict[str, str], identity: bool, inbound: int) -> None:
    """Requirement: an identity is told only of pods of this control plane whose port their proxy takes."""
    (one,) = endpoints(snapshot(WEB, pod("web-0", "10.0.0.1", **changes)))  # type: ignore[arg-type]
    assert (bool(one.identity), one.inbound_port) == (identity, inbound)


@pytest.mark.parametrize(
    ("annotations", "namespace", "port", "opaque"),
    [
        ("", "", 80, False),
        ("", "", 5432, True),
        ("config.linkerd.io/opaque-ports: '8080'", "", 80, True),
        ("config.linkerd.io/opaque-ports: '8000-9000, 1'", "", 80, True),
        ("config.linkerd.io/opaque-ports: ''", "", 5432, False),
        ("", "config.linkerd.io/opaque-ports: '8080'", 80, True),
        ("", "config.linkerd.io/opaque-ports: '8080'", 5432, False),
        ("config.linkerd.io/opaque-ports: '1'", "config.linkerd.io/opaque-ports: '8080'", 80, False),
    ],
)
def test_opaque_ports_come_from_the_pod_then_its_namespace_then_the_default(
    annotations: str, namespace: str, port: int, opaque: bool
) -> None:
    """Requirement: an annotation replaces the list of the next wider place; opaque endpoints have no HTTP/2 hint."""
    document = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: default, annotations: {{{namespace}}}}}"
    (one,) = endpoints(snapshot(WEB, document, pod("web-0", "10.0.0.1", annotations=annotations)), port)
    assert (one.opaque, one.http2) == (opaque, not opaque)


def test_a_headless_service_names_its_instances_and_takes_any_port() -> None:
    """Requirement: `web-1.web` is that pod alone; ports need not be listed."""
    headless = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: None, selector: {app: web}}"
    mesh = snapshot(headless, pod("web-0", "10.0.0.1"), pod("web-1", "10.0.0.2"))
    assert [one.address.ip for one in endpoints(mesh, 8080)] == ["10.0.0.1", "10.0.0.2"]
    assert [one.address for one in endpoints(mesh, 99, instance="web-1")] == [Address("10.0.0.2", 99)]


def test_a_replica_set_is_told_as_its_deployment() -> None:
    """Requirement: the owner label is the Deployment when the pod-template hash says so."""
    made = pod("web-0", "10.0.0.1").replace("{app: web,", "{app: web, pod-template-hash: abc,", 1)
    made = made.replace("annotations:", "ownerReferences: [{kind: ReplicaSet, name: front-abc}], annotations:", 1)
    (one,) = endpoints(snapshot(WEB, made))
    assert one.labels["deployment"] == "front"
    assert one.labels["pod_template_hash"] == "abc"


def test_an_unknown_service_is_not_found_and_the_look_up_is_remembered() -> None:
    """Requirement: an empty look-up belongs to the footprint, so that the answer changes when the Service comes."""
    result, because = answer(snapshot(), EndpointsOf(Authority("web", "default", 80)))
    assert isinstance(result, Unanswerable)
    assert result.code is Code.NOT_FOUND
    assert because.found == {("service", "default", "web"): ()}


@pytest.mark.parametrize(
    ("protocol", "opaque"), [("opaque", True), ("TLS", True), ("HTTP/1", False), ("unknown", False)]
)
def test_clients_are_told_of_an_opaque_server(protocol: str, opaque: bool) -> None:
    """Requirement: a Server's proxyProtocol reaches the clients' proxies as the endpoint's hint, before annotations."""
    written = f"""
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {{name: s}}
spec: {{podSelector: {{}}, port: 8080, proxyProtocol: {protocol}}}
"""
    told, _ = answer(snapshot(WEB, pod("web-0", "10.0.0.1"), written), EndpointsOf(Authority("web", "default", 80)))
    assert isinstance(told, Endpoints)
    (one,) = told.endpoints.values()
    assert (one.opaque, one.http2, one.inbound_port) == (opaque, not opaque, 4143)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web.default.svc.cluster.local:8080", Authority("web", "default", 8080)),
        ("web.default.svc.cluster.local", Authority("web", "default", 80)),
        ("Web.default.svc.cluster.local.:80", Authority("web", "default", 80)),
        ("web-0.web.default.svc.cluster.local:80", Authority("web", "default", 80, "web-0")),
        ("10.0.0.1:80", None),
        ("[fd00::1]:80", None),
        ("fd00::1", None),
        ("web.default.svc.other.domain:80", None),
        ("web.svc.cluster.local:80", None),
        ("web.default.svc.cluster.local:0", None),
        ("web.default.svc.cluster.local:x", None),
        ("", None),
    ],
)
def test_names_are_read_as_linkerd_reads_them(text: str, expected: Authority | None) -> None:
    """Requirement: what is no Service's name is INVALID_ARGUMENT."""
    result = parse(text, "cluster.local")
    if expected is None:
        assert isinstance(result, Unanswerable)
        assert result.code is Code.INVALID_ARGUMENT
    else:
        assert result == expected


BOTH = WEB.replace("clusterIP: 198.19.0.1", "clusterIPs: [198.19.0.1, 'FD00:0::1']")
IPV6 = "fd00::a"


@pytest.mark.parametrize(
    ("service", "asked", "found"),
    [
        (BOTH, "svc", ["10.0.0.1", "10.0.0.2"]),
        (BOTH, "svc-ipv4", ["10.0.0.1", "10.0.0.2"]),
        (BOTH, "svc-ipv6", ["10.0.0.2", IPV6]),
        (WEB.replace("198.19.0.1", "fd00::1"), "svc", ["10.0.0.2", IPV6]),
    ],
)
def test_endpoints_are_of_the_family_that_is_asked_for(service: str, asked: str, found: list[str]) -> None:
    """Requirement: the Service's first family by its plain name; a pod that lacks it is named by what it has."""
    both = pod("web-0", "10.0.0.1").replace("podIP: 10.0.0.1", f"podIP: 10.0.0.1\n  podIPs: [{{ip: '{IPV6}'}}]")
    authority = parse(f"web.default.{asked}.cluster.local:80", "cluster.local")
    assert isinstance(authority, Authority)
    result, _ = answer(snapshot(service, both, pod("web-1", "10.0.0.2")), EndpointsOf(authority))
    assert isinstance(result, Endpoints)
    assert sorted(one.ip for one in result.endpoints) == found
