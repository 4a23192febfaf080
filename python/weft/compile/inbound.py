"""Who may reach one port of one workload, and what the port speaks.

A Server that is about the port says both, with the policies that grant access to it; else the default policy does: the
pod's annotation, its namespace's, the mesh's. Paths that the machine itself probes are let in always: a probe carries
no identity. Requests to a port that has routes and match none of them are refused.
"""

from weft.compile import grants
from weft.compile.answer import (
    About,
    Authorization,
    Code,
    Fail,
    InboundPolicy,
    InboundRoute,
    InboundRule,
    Protocol,
    Unanswerable,
)
from weft.compile.opaque import opaque_pod_port
from weft.compile.reading import Reading
from weft.model import Pod, Route, Server, ports
from weft.model.authorization import Network
from weft.model.clients import ANYONE
from weft.model.route import Compare, GrpcMatch, HeaderEdit, HttpMatch, PathMatch, Rule, Unsupported
from weft.model.server import ProxyProtocol
from weft.model.settings import INBOUND_POLICIES

PROTOCOLS = {
    ProxyProtocol.UNKNOWN: Protocol.DETECT,
    ProxyProtocol.HTTP1: Protocol.HTTP1,
    ProxyProtocol.HTTP2: Protocol.HTTP2,
    ProxyProtocol.GRPC: Protocol.GRPC,
    ProxyProtocol.OPAQUE: Protocol.OPAQUE,
    ProxyProtocol.TLS: Protocol.TLS,
}
DEFAULT_POLICY = "config.linkerd.io/default-inbound-policy"
IDENTITY_PORTS = "config.linkerd.io/proxy-require-identity-inbound-ports"


def inbound(mesh: Reading, namespace: str, name: str, port: int) -> InboundPolicy | Unanswerable:
    """Return the policy of a pod's port; a pod that does not exist is NOT_FOUND."""
    pod = mesh.pod(namespace, name)
    if pod is None:
        return Unanswerable(Code.NOT_FOUND, f"no pod {name} in namespace {namespace}")
    server = mesh.server_of(pod, port)
    return _without_server(mesh, pod, port) if server is None else _with_server(mesh, pod, port, server)


def policy_name(mesh: Reading, pod: Pod) -> str:
    """Return the default policy of a pod; a name that does not exist is passed over."""
    found = _annotation(mesh, pod, DEFAULT_POLICY, INBOUND_POLICIES)
    return found or mesh.settings.default_inbound_policy


def _without_server(mesh: Reading, pod: Pod, port: int) -> InboundPolicy:
    policy = policy_name(mesh, pod)
    identified = ports.contains(ports.ranges(_annotation(mesh, pod, IDENTITY_PORTS)), port)
    protocol = Protocol.OPAQUE if opaque_pod_port(mesh, pod, port) else Protocol.DETECT
    routes = () if protocol is Protocol.OPAQUE else (*_probes(mesh, pod, port), EVERYTHING)
    granted = grants.by_default(mesh, policy, identified=identified)
    return InboundPolicy(About(name=policy), protocol, pod.ips, granted, routes)


def _with_server(mesh: Reading, pod: Pod, port: int, server: Server) -> InboundPolicy:
    own = grants.about(server.meta, "server")
    protocol, routes = PROTOCOLS[server.protocol], mesh.routes_to(server)
    granted = grants.usable(grants.of_server(mesh, server))
    if protocol in (Protocol.OPAQUE, Protocol.TLS):
        return InboundPolicy(own, protocol, pod.ips, granted, ())
    if protocol is Protocol.GRPC:
        if all(route.grpc for route in routes):
            # HTTP probes have no form among gRPC's routes: such a port answers gRPC's own probes only, as in Linkerd.
            return InboundPolicy(own, protocol, pod.ips, granted, tuple(_route(mesh, each) for each in routes))
        protocol = Protocol.HTTP2  # gRPC is HTTP/2, and only there both kinds of routes have a form
    compiled = tuple(_http_route(mesh, each) for each in routes) or (EVERYTHING,)
    # Behind the written ones: a route for the very same requests decides about them.
    return InboundPolicy(own, protocol, pod.ips, granted, (*compiled, *_probes(mesh, pod, port)))


def _route(mesh: Reading, route: Route) -> InboundRoute:
    about = About(route.meta.id.kind, route.meta.name, route.meta.id.group, route.meta.namespace)
    rules = tuple(_rule(route, rule) for rule in route.rules)
    return InboundRoute(about, rules, grants.usable(grants.of_route(mesh, route)), route.hostnames)


def _http_route(mesh: Reading, route: Route) -> InboundRoute:
    """Return a route for a port that is told about HTTP's matches only."""
    compiled = _route(mesh, route)
    if not route.grpc:
        return compiled
    rules = tuple(
        InboundRule(tuple(as_http(each) for each in rule.matches), rule.filters, rule.failure)
        for rule in compiled.rules
    )
    return InboundRoute(compiled.about, rules, compiled.authorizations, compiled.hosts)


def as_http(match: GrpcMatch | HttpMatch) -> HttpMatch:
    """Return the match of HTTP requests that a match of calls means: `POST /SERVICE/METHOD`."""
    if isinstance(match, HttpMatch):
        return match
    path = None
    if match.service and match.method:
        path = PathMatch(Compare.EXACT, f"/{match.service}/{match.method}")
    elif match.service:
        path = PathMatch(Compare.PREFIX, f"/{match.service}/")
    elif match.method:
        path = PathMatch(Compare.REGEX, f"/[^/]+/{_literal(match.method)}")
    return HttpMatch(path, match.headers, method="POST")


def _rule(route: Route, rule: Rule) -> InboundRule:
    """Return a rule; one with a filter that has no form at this end answers 500 rather than pass its requests on."""
    failure = unsupported(rule)
    everything: tuple[HttpMatch, ...] | tuple[GrpcMatch, ...] = (GrpcMatch(),) if route.grpc else (HttpMatch(),)
    if failure:
        return InboundRule(rule.matches or everything, (), Fail(500, f"unsupported filter {failure}"))
    return InboundRule(rule.matches or everything, rule.filters)


def unsupported(rule: Rule) -> str:
    """Return a filter of the rule that has no form at this end; empty when all have."""
    for each in rule.filters:
        if isinstance(each, Unsupported):
            return each.kind
        if isinstance(each, HeaderEdit) and each.on_response:
            return "ResponseHeaderModifier"
    return ""


def _probes(mesh: Reading, pod: Pod, port: int) -> tuple[InboundRoute, ...]:
    """Return the probes' route, which carries its own grant; none on a port that nobody probes by HTTP."""
    paths = sorted({probe.path for probe in pod.probes if probe.port == port})
    if not paths:
        return ()
    networks = tuple(Network(each) for each in mesh.settings.probe_networks)
    grant = Authorization(About(name="probe"), networks, ANYONE)
    matches = tuple(HttpMatch(PathMatch(Compare.EXACT, path), method="GET") for path in paths)
    return (InboundRoute(About(name="probe"), (InboundRule(matches),), (grant,)),)


def _annotation(mesh: Reading, pod: Pod, name: str, allowed: tuple[str, ...] = ()) -> str:
    """Return the pod's annotation or its namespace's; one that is not `allowed` is passed over."""
    own = pod.meta.annotations.get(name, "")
    if own and (not allowed or own in allowed):
        return own
    document = mesh.namespace(pod.meta.namespace)
    wider = document.meta.annotations.get(name, "") if document else ""
    return wider if not allowed or wider in allowed else ""


def _literal(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter == "_" else f"\\{letter}" for letter in text)


EVERYTHING = InboundRoute(About(name="default"), (InboundRule((HttpMatch(PathMatch(Compare.PREFIX, "/")),)),))
