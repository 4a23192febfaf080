"""Endpoints as differences, and profiles."""

from collections.abc import Iterator

from weft.compile.answer import Address, Endpoint, Endpoints, Profile
from weft.gen import destination_pb2 as pb
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
        result.http2.keep_alive.CopyFrom(
            pb.Http2ClientParams.KeepAlive(interval=wire.duration(10), timeout=wire.duration(3), while_idle=True)
        )
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
    """Return a profile; the retry budget is the default, for routes only a ServiceProfile could give."""
    budget = pb.RetryBudget(retry_ratio=0.2, min_retries_per_second=10, ttl=wire.duration(10))
    return pb.DestinationProfile(
        retry_budget=budget,
        opaque_protocol=told.opaque,
        fully_qualified_name=told.name,
        endpoint=endpoint(told.endpoint) if told.endpoint is not None else None,
        parent_ref=wire.metadata(told.parent) if told.parent is not None else None,
    )


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
