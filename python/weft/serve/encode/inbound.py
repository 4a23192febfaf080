"""Inbound policies."""

from weft.compile.answer import About, Authorization, Fail, InboundPolicy, InboundRoute, InboundRule, Protocol
from weft.gen import grpc_route_pb2, http_route_pb2
from weft.gen import inbound_pb2 as pb
from weft.model.authorization import Network
from weft.model.clients import Clients, Proof
from weft.model.route import Filter, GrpcMatch, HeaderEdit, HttpMatch, Redirect
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
        return pb.ProxyProtocol(grpc=pb.ProxyProtocol.Grpc(routes=[_grpc_route(each) for each in policy.routes]))
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
        hosts=[wire.host(each) for each in route.hosts],
        authorizations=[_authz(each) for each in route.authorizations],
        rules=[_rule(each) for each in route.rules],
    )


def _rule(rule: InboundRule) -> pb.HttpRoute.Rule:
    filters = [_filter(each) for each in rule.filters]
    if rule.failure is not None:
        filters = [pb.HttpRoute.Filter(failure_injector=_failure(rule.failure))]
    matches = [wire.http_match(each) for each in rule.matches if isinstance(each, HttpMatch)]
    return pb.HttpRoute.Rule(matches=matches, filters=filters)


def _filter(each: Filter) -> pb.HttpRoute.Filter:
    if isinstance(each, HeaderEdit):
        return pb.HttpRoute.Filter(request_header_modifier=wire.request_headers(each))
    if isinstance(each, Redirect):
        return pb.HttpRoute.Filter(redirect=wire.redirect(each))
    raise TypeError(f"no form at this end: {each}")


def _failure(failure: Fail) -> http_route_pb2.HttpFailureInjector:
    return http_route_pb2.HttpFailureInjector(status=failure.status, message=failure.message, ratio=ALWAYS)


def _grpc_route(route: InboundRoute) -> pb.GrpcRoute:
    return pb.GrpcRoute(
        metadata=wire.metadata(route.about),
        hosts=[wire.host(each) for each in route.hosts],
        authorizations=[_authz(each) for each in route.authorizations],
        rules=[_grpc_rule(each) for each in route.rules],
    )


def _grpc_rule(rule: InboundRule) -> pb.GrpcRoute.Rule:
    filters = [
        pb.GrpcRoute.Filter(request_header_modifier=wire.request_headers(each))
        for each in rule.filters
        if isinstance(each, HeaderEdit)
    ]
    if rule.failure is not None:
        injector = grpc_route_pb2.GrpcFailureInjector(code=INTERNAL, message=rule.failure.message, ratio=ALWAYS)
        filters = [pb.GrpcRoute.Filter(failure_injector=injector)]
    matches = [wire.grpc_match(each) for each in rule.matches if isinstance(each, GrpcMatch)]
    return pb.GrpcRoute.Rule(matches=matches, filters=filters)


def _authz(grant: Authorization) -> pb.Authz:
    return pb.Authz(
        networks=[_network(each) for each in grant.networks],
        authentication=_authn(grant.clients),
        labels=_labels(grant.about),
        metadata=wire.metadata(grant.about),
    )


def _network(network: Network) -> pb.Network:
    return pb.Network(net=wire.network(network.cidr), **{"except": [wire.network(each) for each in network.excepted]})


def _authn(clients: Clients) -> pb.Authn:
    if clients.proof is Proof.NONE:
        return pb.Authn(unauthenticated=pb.Authn.PermitUnauthenticated())
    if clients.proof is Proof.TLS:
        return pb.Authn(meshTLS=pb.Authn.PermitMeshTLS(unauthenticated=pb.Authn.PermitUnauthenticated()))
    identities = pb.Authn.PermitMeshTLS.PermitClientIdentities(
        identities=[pb.Identity(name=each) for each in clients.identities],
        suffixes=[pb.IdentitySuffix(parts=each.split(".") if each else []) for each in clients.suffixes],
    )
    return pb.Authn(meshTLS=pb.Authn.PermitMeshTLS(identities=identities))


def _labels(about: About) -> dict[str, str]:
    return {"group": about.group, "kind": about.kind, "name": about.name}


ALWAYS = http_route_pb2.Ratio(numerator=1, denominator=1)
INTERNAL = 13
"""The gRPC status code."""
