"""The wire forms that a table cannot show through the pure layers."""

from typing import Any

import pytest

from weft.compile.answer import (
    About,
    Address,
    Backend,
    Balance,
    Endpoint,
    Endpoints,
    Fail,
    InboundPolicy,
    InboundRoute,
    InboundRule,
    OpaqueRoute,
    OutboundPolicy,
    OutboundRoute,
    OutboundRule,
    Profile,
    Protocol,
    Unanswerable,
)
from weft.gen import destination_pb2, http_route_pb2, inbound_pb2, net_pb2, outbound_pb2
from weft.model.profile import (
    AllOf,
    AnyOf,
    MethodIs,
    NotThat,
    Override,
    PathPattern,
    ProfileRoute,
    ResponseClass,
    RetryBudget,
    StatusRange,
)
from weft.model.retry import Retry, Timeouts
from weft.model.route import Compare, GrpcMatch, HeaderEdit, HttpMatch, PathMatch, Redirect, TextMatch
from weft.serve import ask
from weft.serve.encode import destination, inbound, outbound, wire


def test_large_sets_go_in_several_messages_below_grpcs_limit() -> None:
    """Requirement: no message comes near 4 MiB, however large the Service is."""
    addresses = [Address(f"10.{n >> 16}.{(n >> 8) & 255}.{n & 255}", 8080) for n in range(2500)]
    labels = {"pod": "p" * 60, "serviceaccount": "s" * 60}
    whole = Endpoints(True, {each: Endpoint(each, labels, "i" * 120, True, False, 4143) for each in addresses})
    messages = list(destination.updates(None, whole))
    assert [len(each.add.addrs) for each in messages] == [1000, 1000, 500]
    assert max(each.ByteSize() for each in messages) < 2**20
    gone = list(destination.updates(whole, Endpoints(True, {addresses[0]: whole.endpoints[addresses[0]]})))
    assert [len(each.remove.addrs) for each in gone] == [1000, 1000, 499]


def test_an_identity_is_told_in_its_own_form() -> None:
    """Requirement: a URI as a URI with the name to send as SNI beside it; a DNS-like name is both."""
    at = Address("10.0.0.1", 80)
    spiffe = destination.endpoint(Endpoint(at, {}, "spiffe://root/ns/default/sa/web", server_name="web.default"))
    assert spiffe.tls_identity.WhichOneof("strategy") == "uri_like_identity"
    assert spiffe.tls_identity.uri_like_identity.uri == "spiffe://root/ns/default/sa/web"
    assert spiffe.tls_identity.server_name.name == "web.default"
    dns = destination.endpoint(Endpoint(at, {}, "web.default")).tls_identity
    assert (dns.dns_like_identity.name, dns.server_name.name) == ("web.default", "web.default")


def test_ipv6_is_two_integers_of_64_bits() -> None:
    """Requirement: hextets 1-4 in `first`, 5-8 in `last`; a mapped IPv4 address is read as IPv4."""
    assert wire.ip("fd00::1") == net_pb2.IPAddress(ipv6=net_pb2.IPv6(first=0xFD00 << 48, last=1))
    mapped = net_pb2.TcpAddress(ip=wire.ip("::ffff:10.0.0.1"), port=80)
    asked = ask.outbound(outbound_pb2.TrafficSpec(source_workload="ns:pod", addr=mapped), "cluster.local")
    assert asked == ask.OutboundOf("ns", Address("10.0.0.1", 80))
    assert wire.network("10.0.0.0/8").prefix_len == 8


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("[fd00:0::1]:8080", Address("fd00::1", 8080)),
        ("FD00::1", Address("fd00::1", 80)),
        ("[::ffff:10.0.0.1]:8080", Address("10.0.0.1", 8080)),
    ],
)
def test_profiles_are_asked_for_by_ipv6(path: str, address: Address) -> None:
    """Requirement: with a port in brackets, without one bare; one address is one question, however it is written."""
    request = destination_pb2.GetDestination(path=path)
    assert ask.get_profile(request, "cluster.local") == ask.ProfileOf(address)


def test_matches_and_filters_keep_their_meaning() -> None:
    """Requirement: hosts, methods, comparisons, header changes and redirects arrive as they were written."""
    assert list(wire.host("*.example.com").suffix.reverse_labels) == ["com", "example"]
    assert wire.host("a.b").exact == "a.b"
    match = HttpMatch(PathMatch(Compare.REGEX, "/a.*"), (TextMatch("x", Compare.EXACT, "é"),), (), "PURGE")
    told = wire.http_match(match)
    assert (told.path.regex, told.headers[0].exact, told.method.unregistered) == ("/a.*", "é".encode(), "PURGE")
    assert wire.method("POST").registered == 1
    assert wire.http_match(HttpMatch()).path.prefix == "/"
    edit = wire.request_headers(HeaderEdit(False, set=(("a", "b"),), remove=("c",)))
    assert (edit.set.headers[0].name, list(edit.remove), edit.HasField("add")) == ("a", ["c"], False)
    moved = wire.redirect(Redirect("https", "x", 8443, 301, prefix_path="/new"))
    assert (moved.scheme.registered, moved.host, moved.port, moved.status) == (1, "x", 8443, 301)
    assert moved.path.prefix == "/new"


@pytest.mark.parametrize("protocol", list(Protocol))
def test_each_inbound_protocol_has_its_message(protocol: Protocol) -> None:
    """Requirement: what a Server declares reaches the proxy as declared; HTTP ports carry their routes."""
    route = InboundRoute(About(name="default"), (InboundRule((HttpMatch(),)),))
    told = inbound.server(InboundPolicy(About(name="x"), protocol, (), (), (route,))).protocol
    assert told.WhichOneof("kind") == protocol.value
    routes = {"detect": told.detect.http_routes, "http1": told.http1.routes, "http2": told.http2.routes}
    assert len(routes.get(protocol.value, [])) == (protocol.value in routes)


@pytest.mark.parametrize("workload", ["", "{", "[]", "{}", '{"ns":1,"pod":"a"}', '{"ns":"a"}', '{"pod":"a"}', "nopod"])
def test_a_workload_that_cannot_be_read_is_refused(workload: str) -> None:
    """Requirement: a malformed token is INVALID_ARGUMENT, never an exception."""
    assert isinstance(ask.inbound(inbound_pb2.PortSpec(workload=workload, port=80)), Unanswerable)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("10.0.0.1:8080", Address("10.0.0.1", 8080)),
        ("[fd00::1]:8080", Address("fd00::1", 8080)),
        ("10.0.0.1", Address("10.0.0.1", 80)),
    ],
)
def test_profiles_are_asked_for_by_address_too(path: str, target: Address) -> None:
    """Requirement: GetProfile takes IP:port where Get does not."""
    asked = ask.get_profile(destination_pb2.GetDestination(path=path), "cluster.local")
    assert asked == ask.ProfileOf(target)
    assert isinstance(ask.get(destination_pb2.GetDestination(path=path), "cluster.local"), Unanswerable)


def test_timeouts_and_retries_keep_their_meaning() -> None:
    """Requirement: statuses, codes, limits and times arrive as they were written, for HTTP and for gRPC; where nothing
    was written nothing is said, which a proxy takes for none.
    """
    about, own = About(name="x"), OpaqueRoute(About(name="x"), None, forbidden=True)

    def told(timeouts: Timeouts, retry: Retry | None) -> tuple[Any, Any]:
        matches: tuple[tuple[HttpMatch], tuple[GrpcMatch]] = ((HttpMatch(),), (GrpcMatch(),))
        http, grpc = (
            OutboundRoute(about, (), (OutboundRule(each, (), (), None, timeouts, retry),)) for each in matches
        )
        first = outbound.policy(OutboundPolicy(about, Protocol.HTTP1, (http,), (), own)).protocol.http1
        second = outbound.policy(OutboundPolicy(about, Protocol.GRPC, (), (grpc,), own)).protocol.grpc
        return first.routes[0].rules[0], second.routes[0].rules[0]

    for silent in told(Timeouts(), None):
        assert not any(silent.HasField(name) for name in ("timeouts", "requestTimeout", "retry"))
    for rule in told(Timeouts(1.5, None, 60.0), Retry(((500, 599), (429, 429)), (4, 14), 3, 0.25)):
        assert (rule.timeouts.request, rule.timeouts.idle) == (wire.duration(1.5), wire.duration(60))
        assert (rule.requestTimeout, rule.timeouts.HasField("response")) == (wire.duration(1.5), False)
        retry = rule.retry
        assert (retry.max_retries, retry.max_request_bytes, retry.timeout) == (3, 65536, wire.duration(0.25))
        least, most = wire.duration(0.025), wire.duration(0.25)
        assert (retry.backoff.min_backoff, retry.backoff.max_backoff, retry.backoff.jitter_ratio) == (least, most, 1.0)
    http, grpc = told(Timeouts(), Retry(((500, 599), (429, 429)), (4, 14)))
    assert [(each.start, each.end) for each in http.retry.conditions.status_ranges] == [(500, 599), (429, 429)]
    assert {field.name for field, on in grpc.retry.conditions.ListFields() if on} == {"deadine_exceeded", "unavailable"}
    assert not http.retry.HasField("timeout")


def test_a_backend_that_does_not_exist_answers_for_itself() -> None:
    """Requirement: it is written as Linkerd writes it, without a kind and with a failure that always happens."""
    about, own = About(name="x"), OpaqueRoute(About(name="x"), None, forbidden=True)
    gone = Backend(
        About("Service", "gone", "core", "default", 80), None, 1, failure=Fail(500, "Service not found gone")
    )
    good = Backend(about, Balance("web.default.svc.cluster.local:80"), 9)
    route = OutboundRoute(about, (), (OutboundRule((HttpMatch(),), (good, gone)),))
    told = outbound.policy(OutboundPolicy(about, Protocol.HTTP1, (route,), (), own)).protocol.http1
    first, second = told.routes[0].rules[0].backends.random_available.backends
    assert (first.weight, first.backend.backend.WhichOneof("kind"), len(first.backend.filters)) == (9, "balancer", 0)
    assert (second.weight, second.backend.backend.WhichOneof("kind")) == (1, None)
    (fault,) = second.backend.filters
    assert (fault.failure_injector.status, fault.failure_injector.message) == (500, "Service not found gone")
    assert fault.failure_injector.ratio == http_route_pb2.Ratio(numerator=1, denominator=1)


def test_a_profile_keeps_its_meaning() -> None:
    """Requirement: conditions, classes, retries, timeout, budget, split in ten-thousandths, and the document's name."""
    condition = AllOf((MethodIs("GET"), NotThat(AnyOf((PathPattern("/a"),)))))
    classes = (
        ResponseClass(NotThat(AllOf((StatusRange(0, 499), AnyOf(())))), False),
        ResponseClass(StatusRange(500), True),
    )
    routes = (ProfileRoute("one", condition, classes, True, 1.5), ProfileRoute("two", MethodIs("PURGE")))
    about = About("ServiceProfile", "web.default.svc.cluster.local", "linkerd.io", "shop")
    split = (Override("a:80", 900), Override("b:80", 100))
    told = destination.profile(
        Profile("web", written=about, routes=routes, budget=RetryBudget(0.5, 3, 60.0), overrides=split)
    )
    first, second = told.routes
    method, opposite = first.condition.all.matches
    assert method.method.registered == 0
    assert getattr(opposite, "not").any.matches[0].path.regex == "/a"
    assert [each.is_failure for each in first.response_classes] == [False, True]
    inner = getattr(first.response_classes[0].condition, "not").all.matches
    assert (inner[0].status.min, inner[0].status.max, inner[1].WhichOneof("match")) == (0, 499, "any")
    assert (first.is_retryable, first.timeout, dict(first.metrics_labels)) == (
        True,
        wire.duration(1.5),
        {"route": "one"},
    )
    assert (second.condition.method.unregistered, second.HasField("timeout")) == ("PURGE", False)
    assert (told.retry_budget.retry_ratio, told.retry_budget.min_retries_per_second) == (0.5, 3)
    assert told.retry_budget.ttl == wire.duration(60)
    assert [(each.authority, each.weight) for each in told.dst_overrides] == [("a:80", 9000), ("b:80", 1000)]
    assert (told.profile_ref.resource.kind, told.profile_ref.resource.namespace) == ("ServiceProfile", "shop")


@pytest.mark.parametrize(
    ("context", "namespace"),
    [('{"ns":"shop","pod":"a"}', "shop"), ("ns:shop", "shop"), ("", ""), ("{", ""), ('{"ns":1}', ""), ("[]", "")],
)
def test_a_profile_is_asked_for_by_somebody(context: str, namespace: str) -> None:
    """Requirement: the client's namespace is in the context token, in either form; else it is nobody's."""
    request = destination_pb2.GetDestination(path="10.0.0.1:80", context_token=context)
    assert ask.get_profile(request, "cluster.local") == ask.ProfileOf(Address("10.0.0.1", 80), namespace)
