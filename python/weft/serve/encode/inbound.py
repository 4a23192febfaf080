"""Inbound policies."""

from weft.compile.answer import About, Authorization, Clients, InboundPolicy, InboundRoute, Protocol
from weft.gen import inbound_pb2 as pb
from weft.serve.encode import wire


def server(policy: InboundPolicy) -> pb.Server:
    """Return one port's policy."""
    return pb.Server(
        protocol=_protocol(policy),
        server_ips=[wire.ip(each) for each in policy.ips],
        authorizations=[_authz(each) for each in policy.authorizations],
        labels=_labels(policy.about),
    )


def _protocol(policy: InboundPolicy) -> pb.ProxyProtocol:
    if policy.protocol is Protocol.OPAQUE:
        return pb.ProxyProtocol(opaque=pb.ProxyProtocol.Opaque())
    if policy.protocol is Protocol.TLS:
        return pb.ProxyProtocol(tls=pb.ProxyProtocol.Tls())
    if policy.protocol is Protocol.GRPC:
        # HTTP probes have no form among gRPC's routes: such a port answers gRPC's own probes only, as in Linkerd.
        return pb.ProxyProtocol(grpc=pb.ProxyProtocol.Grpc())
    routes = [_route(each) for each in policy.routes]
    if policy.protocol is Protocol.HTTP1:
        return pb.ProxyProtocol(http1=pb.ProxyProtocol.Http1(routes=routes))
    if policy.protocol is Protocol.HTTP2:
        return pb.ProxyProtocol(http2=pb.ProxyProtocol.Http2(routes=routes))
    return pb.ProxyProtocol(
        detect=pb.ProxyProtocol.Detect(timeout=wire.duration(policy.detect_timeout), http_routes=routes)
    )


def _route(route: InboundRoute) -> pb.HttpRoute:
    """Return a route; proxies add the port's authorizations to the route's own, so only the latter are written."""
    return pb.HttpRoute(
        metadata=wire.metadata(route.about),
        authorizations=[_authz(each) for each in route.authorizations],
        rules=[pb.HttpRoute.Rule(matches=[wire.http_match(each) for each in route.matches])],
    )


def _authz(grant: Authorization) -> pb.Authz:
    if grant.clients is Clients.ANYONE:
        authentication = pb.Authn(unauthenticated=pb.Authn.PermitUnauthenticated())
    else:
        everybody = pb.Authn.PermitMeshTLS.PermitClientIdentities(suffixes=[pb.IdentitySuffix(parts=[])])
        authentication = pb.Authn(meshTLS=pb.Authn.PermitMeshTLS(identities=everybody))
    return pb.Authz(
        networks=[pb.Network(net=wire.network(each)) for each in grant.networks],
        authentication=authentication,
        labels=_labels(grant.about),
        metadata=wire.metadata(grant.about),
    )


def _labels(about: About) -> dict[str, str]:
    return {"group": about.group, "kind": about.kind, "name": about.name}
