"""Outbound policies and profiles: what a target is, and how requests to it are routed."""

import pytest
from tests.meshes import WEB, pod, snapshot

from weft.compile import OutboundOf, ProfileOf, answer
from weft.compile.answer import (
    Address,
    Balance,
    Code,
    Forward,
    OutboundPolicy,
    Profile,
    Protocol,
    Unanswerable,
)
from weft.compile.authority import Authority
from weft.compile.targets import Target
from weft.model.retry import Retry, Timeouts
from weft.model.settings import Settings
from weft.model.snapshot import Snapshot

VIP = Address("198.19.0.1", 80)
NAME = Authority("web", "default", 80)


def outbound(mesh: Snapshot, target: Target = VIP, asker: str = "default") -> OutboundPolicy:
    result, _ = answer(mesh, OutboundOf(asker, target))
    assert isinstance(result, OutboundPolicy)
    return result


def profile(mesh: Snapshot, target: Target = VIP, asker: str = "") -> Profile:
    result, _ = answer(mesh, ProfileOf(target, asker))
    assert isinstance(result, Profile)
    return result


def route(spec: str, *, kind: str = "HTTPRoute", name: str = "r", namespace: str = "default", port: str = "") -> str:
    parent = f"{{name: web, namespace: default, kind: Service, group: ''{port}}}"
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: {kind}
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  parentRefs: [{parent}]
  rules:
  - {spec}
"""


@pytest.mark.parametrize("target", [VIP, NAME])
def test_a_service_is_balanced_by_default(target: Target) -> None:
    """Requirement: address and name lead to the same detected policy with one balancer."""
    told = outbound(snapshot(WEB), target)
    assert told.protocol is Protocol.DETECT
    assert (told.about.group, told.about.kind, told.about.name, told.about.port) == ("core", "Service", "web", 80)
    (only,) = told.http
    assert only.about.name == "http"
    assert [backend.to for backend in only.rules[0].backends] == [Balance("web.default.svc.cluster.local:80")]
    assert told.opaque.about.name == "opaq"


def test_an_undefined_port_is_forbidden_and_its_profile_empty() -> None:
    """Requirement: a port that the Service does not list goes nowhere."""
    told = outbound(snapshot(WEB), Address("198.19.0.1", 81))
    assert told.opaque.forbidden
    assert told.opaque.about.name == "undefined-port"
    assert profile(snapshot(WEB), Address("198.19.0.1", 81)) == Profile()


def test_a_pod_and_a_stranger_are_forwarded_to() -> None:
    """Requirement: a pod's address keeps its identity; an unknown one is passed on as it came."""
    mesh = snapshot(WEB, pod("web-0", "10.0.0.1"))
    for ip, name, identity in (("10.0.0.1", "endpoint", True), ("192.0.2.1", "egress-fallback", False)):
        told = outbound(mesh, Address(ip, 8080))
        backend = told.http[0].rules[0].backends[0]
        assert isinstance(backend.to, Forward)
        assert (told.about.name, bool(backend.to.endpoint.identity)) == (name, identity)
        assert backend.to.endpoint.address == Address(ip, 8080)
    assert profile(mesh, Address("10.0.0.1", 8080)).endpoint is not None
    assert profile(mesh, Address("192.0.2.1", 8080)) == Profile()


def test_an_address_of_two_services_cannot_be_answered() -> None:
    """Requirement: conflicting ClusterIPs are FAILED_PRECONDITION."""
    result, _ = answer(snapshot(WEB, WEB.replace("name: web", "name: other")), OutboundOf("default", VIP))
    assert isinstance(result, Unanswerable)
    assert result.code is Code.FAILED_PRECONDITION


@pytest.mark.parametrize(
    ("port", "protocol"),
    [
        ("{port: 80, appProtocol: http}", Protocol.HTTP1),
        ("{port: 80, appProtocol: kubernetes.io/h2c}", Protocol.HTTP2),
        ("{port: 80, appProtocol: linkerd.io/opaque}", Protocol.OPAQUE),
        ("{port: 80, appProtocol: grpc}", Protocol.OPAQUE),
        ("{port: 80}", Protocol.DETECT),
    ],
)
def test_app_protocol_declares_what_a_port_speaks(port: str, protocol: Protocol) -> None:
    """Requirement: two values name HTTP, every other makes the port opaque, none means detection."""
    text = WEB.replace("{port: 80, targetPort: http}", port)
    assert outbound(snapshot(text)).protocol is protocol
    assert profile(snapshot(text)).opaque is (protocol is Protocol.OPAQUE)


def test_a_services_annotation_makes_ports_opaque() -> None:
    """Requirement: config.linkerd.io/opaque-ports on the Service replaces the default list."""
    text = WEB.replace("{name: web}", "{name: web, annotations: {config.linkerd.io/opaque-ports: '80'}}")
    assert outbound(snapshot(text)).protocol is Protocol.OPAQUE
    assert outbound(snapshot(text), Address("198.19.0.1", 5432)).protocol is Protocol.DETECT
    assert outbound(snapshot(WEB), Address("198.19.0.1", 5432)).protocol is Protocol.OPAQUE


def test_weights_are_kept_and_a_missing_backend_answers_its_share_with_500() -> None:
    """Requirement: an invalid backend fails its own share of the requests and no other."""
    text = route("backendRefs: [{name: web, port: 80, weight: 90}, {name: gone, port: 80, weight: 10}]")
    (only,) = outbound(snapshot(WEB, text)).http
    good, bad = only.rules[0].backends
    assert (good.weight, good.to, good.failure) == (90, Balance("web.default.svc.cluster.local:80"), None)
    assert (bad.weight, bad.to) == (10, None)
    assert bad.failure is not None
    assert (bad.failure.status, bad.failure.message) == (500, "Service not found gone")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("backendRefs: [{name: web, port: 99}]", "no port 99"),
        ("backendRefs: [{name: web, port: 80, kind: Bucket, group: x}]", "not supported"),
    ],
)
def test_backends_that_cannot_be_reached_fail(spec: str, message: str) -> None:
    """Requirement: each reason is said in the injected message."""
    (backend,) = outbound(snapshot(WEB, route(spec))).http[0].rules[0].backends
    assert backend.failure is not None
    assert message in backend.failure.message


def test_an_unknown_filter_and_a_rule_without_weight_answer_500() -> None:
    """Requirement: a rule that cannot be obeyed is not half obeyed."""
    for spec in ("filters: [{type: URLRewrite}]", "backendRefs: [{name: web, port: 80, weight: 0}]"):
        failure = outbound(snapshot(WEB, route(spec))).http[0].rules[0].failure
        assert failure is not None
        assert failure.status == 500
    redirects = "filters: [{type: RequestRedirect, requestRedirect: {hostname: x}}]\n    backendRefs: []"
    assert outbound(snapshot(WEB, route(redirects))).http[0].rules[0].failure is None


def test_consumer_routes_win_for_their_own_namespace_only() -> None:
    """Requirement: a route in the client's namespace replaces the producer's; other clients never see it."""
    producer = route("{}", name="producer")
    consumer = route("{}", name="consumer", namespace="shop")
    mesh = snapshot(WEB, producer, consumer)
    assert [each.about.name for each in outbound(mesh, asker="shop").http] == ["consumer"]
    assert [each.about.name for each in outbound(mesh, asker="other").http] == ["producer"]
    assert [each.about.name for each in outbound(mesh, asker="default").http] == ["producer"]
    assert [each.about.name for each in outbound(snapshot(WEB, consumer), asker="x").http] == ["http"]


def test_a_route_for_one_port_leaves_the_others() -> None:
    """Requirement: parentRef.port limits a route."""
    mesh = snapshot(WEB.replace("{port: 5432}", "{port: 81}"), route("{}", port=", port: 81"))
    assert [each.about.name for each in outbound(mesh).http] == ["http"]
    assert [each.about.name for each in outbound(mesh, Address("198.19.0.1", 81)).http] == ["r"]


def test_grpc_routes_make_a_grpc_port() -> None:
    """Requirement: with a GRPCRoute the port is gRPC, as in Linkerd; HTTPRoutes beside it do not count."""
    told = outbound(snapshot(WEB, route("matches: [{method: {service: a.B}}]", kind="GRPCRoute"), route("{}")))
    assert told.protocol is Protocol.GRPC
    assert (len(told.grpc), told.http) == (1, ())


def test_a_profile_names_its_service() -> None:
    """Requirement: fully qualified name and parent for a Service's port."""
    told = profile(snapshot(WEB))
    assert told.name == "web.default.svc.cluster.local"
    assert told.parent is not None
    assert (told.parent.name, told.parent.port) == ("web", 80)


BOTH = WEB.replace("clusterIP: 198.19.0.1", "clusterIPs: [198.19.0.1, 'fd00::1']")
SIX = Address("fd00::1", 80)


def test_a_client_keeps_the_family_that_it_chose() -> None:
    """Requirement: by the Service's IPv6 address IPv6 endpoints, by IPv4 IPv4 ones, in every route.

    Linkerd picks the IPv6 endpoint whatever the client asked for (linkerd2 12733).
    """
    other = BOTH.replace("name: web", "name: other").replace("198.19.0.1", "198.19.0.2").replace("fd00::1", "fd00::2")
    single = WEB.replace("name: web", "name: single").replace("198.19.0.1", "198.19.0.3")
    split = route("backendRefs: [{name: web, port: 80}, {name: other, port: 80}, {name: single, port: 80}]")
    mesh = snapshot(BOTH, other, single, split)
    for target, kind in ((SIX, "svc-ipv6"), (VIP, "svc")):
        told = outbound(mesh, target)
        assert told.opaque.backend is not None
        assert told.opaque.backend.to == Balance(f"web.default.{kind}.cluster.local:80")
        assert [each.to for each in told.http[0].rules[0].backends] == [
            Balance(f"web.default.{kind}.cluster.local:80"),
            Balance(f"other.default.{kind}.cluster.local:80"),
            Balance("single.default.svc.cluster.local:80"),
        ]


def test_a_service_is_the_same_by_either_address() -> None:
    """Requirement: profile and policy name one Service; a pod's IPv6 address leads to that pod, with its identity."""
    both = pod("web-0", "10.0.0.1").replace("podIP: 10.0.0.1", "podIP: 10.0.0.1\n  podIPs: [{ip: 'fd00:0::a'}]")
    mesh = snapshot(BOTH, both)
    assert profile(mesh, SIX) == profile(mesh, VIP)
    assert outbound(mesh, SIX).about == outbound(mesh, VIP).about
    known = profile(mesh, Address("fd00::a", 8080)).endpoint
    assert known is not None
    assert known.address == Address("fd00::a", 8080)
    assert known.identity == "web.default.serviceaccount.identity.weft.cluster.local"


@pytest.mark.parametrize("allowed", [False, True])
def test_request_headers_count_where_the_control_plane_lets_them(allowed: bool) -> None:
    """Requirement: every rule, a Service's own and a route's, says whether requests may change timeouts and retries."""
    settings = Settings(allow_request_headers=allowed)
    for told in (
        outbound(snapshot(WEB, settings=settings)),
        outbound(snapshot(WEB, route("matches: [{path: {value: /}}]"), settings=settings)),
    ):
        assert [rule.allow_request_headers for each in told.http for rule in each.rules] == [allowed]


def annotated(text: str, *annotations: str) -> str:
    """The document with these annotations; the first part of each names the domain."""
    said = ", ".join(each.replace("/", ".linkerd.io/", 1) for each in annotations)
    return text.replace("metadata: {", f"metadata: {{annotations: {{{said}}}, ", 1)


def rules(mesh: Snapshot) -> list[tuple[Timeouts, Retry | None]]:
    """What holds for the requests of each rule."""
    told = outbound(mesh)
    return [(rule.timeouts, rule.retry) for route in told.grpc or told.http for rule in route.rules]


MET = Retry(((503, 503),), (), 2)


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_annotations_of_a_route_go_before_its_services(kind: str) -> None:
    """Requirement: a Service's timeouts and retries hold for requests without a route and for routes that say nothing
    of them; a route replaces them, each as a whole; a rule's own timeout goes before both; a limit of 0 is no retry.
    """
    service = annotated(WEB, "timeout/request: 5s", "timeout/idle: 1m", "retry/http: '503'", "retry/limit: '2'")
    plain = route("backendRefs: [{name: web, port: 80}]", kind=kind)
    own, name = (Retry((), (14,)), "grpc: unavailable") if kind == "GRPCRoute" else (Retry(((500, 599),)), "http: 5xx")
    assert rules(snapshot(WEB)) == [(Timeouts(), None)]
    assert rules(snapshot(service)) == [(Timeouts(5.0, None, 60.0), MET)]
    assert rules(snapshot(service, plain)) == [(Timeouts(5.0, None, 60.0), MET)]
    retried = annotated(plain, f"retry/{name}")
    assert rules(snapshot(service, retried)) == [(Timeouts(5.0, None, 60.0), own)]
    assert rules(snapshot(service, annotated(plain, "timeout/response: 1s"))) == [(Timeouts(None, 1.0), MET)]
    assert rules(snapshot(service, annotated(plain, "retry/limit: '0'"))) == [(Timeouts(5.0, None, 60.0), None)]
    if kind == "HTTPRoute":
        timed = route("timeouts: {request: 2s}", kind=kind)
        assert rules(snapshot(service, timed)) == [(Timeouts(2.0, None, 60.0), MET)]
        lifted = annotated(timed, "timeout/request: '0'")
        assert rules(snapshot(service, lifted)) == [(Timeouts(2.0), MET)]


def test_a_section_name_is_a_ports_name() -> None:
    """Requirement: parentRef.sectionName limits a route to the Service's port of that name."""
    named = WEB.replace(
        "{port: 80, targetPort: http}", "{port: 80, targetPort: http, name: main}, {port: 81, name: admin}"
    )
    mesh = snapshot(named, route("{}", port=", sectionName: admin"))
    assert [each.about.name for each in outbound(mesh).http] == ["http"]
    assert [each.about.name for each in outbound(mesh, Address("198.19.0.1", 81)).http] == ["r"]


def test_a_route_has_as_many_parents_as_it_names() -> None:
    """Requirement: each parentRef attaches it to one Service, and to nothing else."""
    other = WEB.replace("name: web", "name: other").replace("198.19.0.1", "198.19.0.2")
    text = route("{}").replace("parentRefs: [", "parentRefs: [{name: other, kind: Service, group: ''}, ")
    mesh = snapshot(WEB, other, text)
    for vip in ("198.19.0.1", "198.19.0.2"):
        assert [each.about.name for each in outbound(mesh, Address(vip, 80)).http] == ["r"]
    assert [each.about.name for each in outbound(mesh, Address("198.19.0.2", 81)).http] == []


def test_backends_of_other_namespaces_need_no_grant() -> None:
    """Requirement: as in Linkerd a backendRef may name any namespace; who may call is said by inbound policy there."""
    far = WEB.replace("{name: web}", "{name: far, namespace: shop}").replace("198.19.0.1", "198.19.0.2")
    (backend,) = (
        outbound(snapshot(WEB, far, route("backendRefs: [{name: far, namespace: shop, port: 80}]")))
        .http[0]
        .rules[0]
        .backends
    )
    assert (backend.to, backend.failure) == (Balance("far.shop.svc.cluster.local:80"), None)


def test_of_equal_routes_the_oldest_is_told_first() -> None:
    """Requirement: by creation, then by name whatever the group; a proxy takes the first of those that match alike."""
    named = [route("{}", name=name) for name in "abc"]
    other_group = route("{}", name="aa").replace("gateway.networking.k8s.io/v1", "policy.linkerd.io/v1beta3")
    old = named[2].replace("{name: c,", "{name: c, creationTimestamp: '2020-01-01T00:00:00Z',")
    told = outbound(snapshot(WEB, named[1], other_group, named[0], old))
    assert [each.about.name for each in told.http] == ["c", "a", "aa", "b"]


def test_a_grpc_route_has_no_form_for_changed_responses() -> None:
    """Requirement: a filter that proxies cannot be told of answers 500, in a rule all of it and on a backend its share.

    The bug that this is for: the filter of a GRPCRoute was left out, and the rest obeyed.
    """
    edit = "filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: a, value: b}]}}]"
    told = outbound(snapshot(WEB, route(edit, kind="GRPCRoute"))).grpc[0].rules[0]
    assert told.failure is not None
    assert told.failure.message == "unsupported filter ResponseHeaderModifier"
    share = (
        outbound(snapshot(WEB, route(f"backendRefs: [{{name: web, port: 80, {edit}}}]", kind="GRPCRoute")))
        .grpc[0]
        .rules[0]
    )
    assert (share.failure, share.backends[0].to) == (None, None)
    assert outbound(snapshot(WEB, route(edit))).http[0].rules[0].failure is None


def written(spec: str, namespace: str = "default") -> str:
    return f"""
apiVersion: linkerd.io/v1alpha2
kind: ServiceProfile
metadata: {{name: web.default.svc.cluster.local, namespace: {namespace}}}
spec: {{{spec}}}
"""


def test_a_clients_profile_goes_before_its_services() -> None:
    """Requirement: the client's namespace first, then the Service's; profiles of third namespaces hold for nobody."""
    routes = "routes: [{name: %s, condition: {method: GET}}]"
    mesh = snapshot(WEB, written(routes % "own"), written(routes % "mine", "shop"), written(routes % "x", "third"))
    for asker, name in (("shop", "mine"), ("default", "own"), ("elsewhere", "own"), ("", "own")):
        told = profile(mesh, asker=asker)
        assert [each.name for each in told.routes] == [name]
        assert told.written is not None
        assert told.written.namespace == {"mine": "shop", "own": "default"}[name]
    assert profile(snapshot(WEB, written(routes % "x", "third")), asker="shop").routes == ()


def test_a_profile_makes_ports_opaque() -> None:
    """Requirement: opaquePorts add to the default ones, for policy and profile; what the Service says goes before."""
    mesh = snapshot(WEB, written("opaquePorts: ['80']"))
    assert outbound(mesh).protocol is Protocol.OPAQUE
    assert profile(mesh).opaque
    assert profile(mesh, Address("198.19.0.1", 5432)).opaque
    mine = snapshot(WEB, written("opaquePorts: ['80']", "shop"))
    assert [outbound(mine, asker=asker).protocol for asker in ("shop", "default")] == [Protocol.OPAQUE, Protocol.DETECT]
    said = WEB.replace("{name: web}", "{name: web, annotations: {config.linkerd.io/opaque-ports: ''}}")
    assert not profile(snapshot(said, written("opaquePorts: ['80']"))).opaque
