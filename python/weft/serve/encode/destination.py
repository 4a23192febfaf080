"""Endpoints as differences, and profiles."""

from collections.abc import Iterator
from typing import Any

from weft.compile.answer import Address, Endpoint, Endpoints, Profile
from weft.gen import destination_pb2 as pb
from weft.model.profile import AllOf, AnyOf, Condition, MethodIs, NotThat, PathPattern, ProfileRoute, StatusRange
from weft.serve.encode import wire

PER_MESSAGE = 1000
"""Endpoints in one message: well below the 4 MiB that gRPC libraries accept by default."""


def updates(before: Endpoints | None, now: Endpoints) -> Iterator[pb.Update]:
    """Yield what makes a proxy's set, which is `before`, the new one; first what comes, then what goes."""
    if not now.endpoints:
        if before is None or before.endpoints or before.exists != now.exists:
            yield pb.Update(no_endpoints=pb.NoEndpoints(exists=now.exists))
        return
    old = before.endpoints if before is not None and before.labels == now.labels else {}
    added = sorted(address for address, one in now.endpoints.items() if old.get(address) != one)
    for part in _parts(added):
        addrs = [endpoint(now.endpoints[address]) for address in part]
        yield pb.Update(add=pb.WeightedAddrSet(addrs=addrs, metric_labels=now.labels))
    known = before.endpoints if before is not None else {}
    removed = sorted(address for address in known if address not in now.endpoints)
    for part in _parts(removed):
        yield pb.Update(remove=pb.AddrSet(addrs=[wire.tcp(address) for address in part]))


def endpoint(one: Endpoint) -> pb.WeightedAddr:
    """Return one endpoint; how to reach it is said only of meshed ones."""
    result = pb.WeightedAddr(addr=wire.tcp(one.address), weight=WEIGHT, metric_labels=one.labels)
    if one.identity:
        result.tls_identity.CopyFrom(_tls(one.identity, one.server_name))
    if one.http2 or one.inbound_port:
        result.http2.keep_alive.CopyFrom(KEEP_ALIVE)
        if one.http2:
            result.protocol_hint.h2.SetInParent()
        elif one.opaque:
            result.protocol_hint.opaque.SetInParent()
        if one.inbound_port:
            result.protocol_hint.opaque_transport.inbound_port = one.inbound_port
    if one.about is not None:
        result.resource_ref.CopyFrom(wire.metadata(one.about))
    return result


def profile(told: Profile) -> pb.DestinationProfile:
    """Return a profile with its routes, the retry budget (Linkerd's default where none is written) and the split."""
    budget = pb.RetryBudget(
        retry_ratio=told.budget.ratio,
        min_retries_per_second=told.budget.least_per_second,
        ttl=wire.duration(told.budget.ttl),
    )
    return pb.DestinationProfile(
        routes=[_route(each) for each in told.routes],
        dst_overrides=[pb.WeightedDst(authority=each.authority, weight=each.weight * 10) for each in told.overrides],
        profile_ref=wire.metadata(told.written) if told.written is not None else None,
        retry_budget=budget,
        opaque_protocol=told.opaque,
        fully_qualified_name=told.name,
        endpoint=endpoint(told.endpoint) if told.endpoint is not None else None,
        parent_ref=wire.metadata(told.parent) if told.parent is not None else None,
    )


def _route(route: ProfileRoute) -> pb.Route:
    classes = [pb.ResponseClass(condition=_answers(each.condition), is_failure=each.failure) for each in route.classes]
    return pb.Route(
        condition=_requests(route.condition),
        response_classes=classes,
        metrics_labels={"route": route.name},
        is_retryable=route.retryable,
        timeout=wire.duration(route.timeout) if route.timeout is not None else None,
    )


def _requests(condition: Condition) -> pb.RequestMatch:
    if isinstance(condition, PathPattern):
        return pb.RequestMatch(path=pb.PathMatch(regex=condition.regex))
    if isinstance(condition, MethodIs):
        return pb.RequestMatch(method=wire.method(condition.name))
    if isinstance(condition, AllOf):
        return pb.RequestMatch(all=pb.RequestMatch.Seq(matches=[_requests(each) for each in condition.each]))
    if isinstance(condition, AnyOf):
        return pb.RequestMatch(any=pb.RequestMatch.Seq(matches=[_requests(each) for each in condition.each]))
    if isinstance(condition, NotThat):
        opposite: dict[str, Any] = {"not": _requests(condition.one)}  # a word of Python
        return pb.RequestMatch(**opposite)
    raise TypeError(f"not about requests: {condition}")


def _answers(condition: Condition) -> pb.ResponseMatch:
    if isinstance(condition, StatusRange):
        return pb.ResponseMatch(status=pb.HttpStatusRange(min=condition.least, max=condition.most))
    if isinstance(condition, AllOf):
        return pb.ResponseMatch(all=pb.ResponseMatch.Seq(matches=[_answers(each) for each in condition.each]))
    if isinstance(condition, AnyOf):
        return pb.ResponseMatch(any=pb.ResponseMatch.Seq(matches=[_answers(each) for each in condition.each]))
    if isinstance(condition, NotThat):
        opposite: dict[str, Any] = {"not": _answers(condition.one)}
        return pb.ResponseMatch(**opposite)
    raise TypeError(f"not about answers: {condition}")


def _tls(identity: str, server_name: str) -> pb.TlsIdentity:
    sni = pb.TlsIdentity.DnsLikeIdentity(name=server_name or identity)
    if identity.startswith("spiffe://"):
        return pb.TlsIdentity(uri_like_identity=pb.TlsIdentity.UriLikeIdentity(uri=identity), server_name=sni)
    name = pb.TlsIdentity.DnsLikeIdentity(name=identity)
    return pb.TlsIdentity(dns_like_identity=name, server_name=sni)


def _parts(addresses: list[Address]) -> Iterator[list[Address]]:
    for start in range(0, len(addresses), PER_MESSAGE):
        yield addresses[start : start + PER_MESSAGE]


WEIGHT = 10_000
KEEP_ALIVE = pb.Http2ClientParams.KeepAlive(interval=wire.duration(10), timeout=wire.duration(3), while_idle=True)
