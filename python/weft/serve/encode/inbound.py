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
    routes = [_route(each, policy) for each in policy.routes]
    return pb.ProxyProtocol(
        detect=pb.ProxyProtocol.Detect(timeout=wire.duration(policy.detect_timeout), http_routes=routes)
    )


def _route(route: InboundRoute, policy: InboundPolicy) -> pb.HttpRoute:
    """Return a route; a proxy takes a route's own authorizations beside the port's, so each has what it needs."""
    return pb.HttpRoute(
        metadata=wire.metadata(route.about),
        authorizations=[_authz(each) for each in (*route.authorizations, *policy.authorizations)],
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
