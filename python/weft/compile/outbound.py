"""How a client's traffic to one target is routed: routes where there are any, the plain way otherwise.

Producer routes (in the Service's namespace) hold for all clients; consumer routes (in the client's) hold for that
namespace's clients, and where there is one, the producer's are not looked at. Timeouts and retries that a route's
annotations set replace those of its Service's; a rule's own timeout goes before both. Of a ServiceProfile only the
opaque ports are looked at: proxies are told of it beside the policy, and put it in the policy's place themselves. A
client that connected to a Service's IPv6 address is balanced over IPv6 endpoints, one that chose IPv4 over IPv4,
wherever the backend has both.
"""

from collections.abc import Iterable
from dataclasses import replace

from weft.compile.answer import (
    About,
    Address,
    Backend,
    Balance,
    Endpoint,
    Fail,
    Forward,
    OpaqueRoute,
    OutboundPolicy,
    OutboundRoute,
    OutboundRule,
    Protocol,
    Unanswerable,
)
from weft.compile.backends import unsupported, wrong
from weft.compile.endpoints import endpoint
from weft.compile.opaque import APP_HTTP1, APP_HTTP2, opaque_pod_port, opaque_service_port
from weft.compile.reading import NEVER, Reading
from weft.compile.targets import Outside, PodTarget, ServiceTarget, Target, resolve
from weft.model import ObjectId, Route, Service
from weft.model.family import Family, family
from weft.model.retry import NO_TIMEOUTS, SAYS_NOTHING, Patience, Retry, Timeouts
from weft.model.route import BackendRef, GrpcMatch, HttpMatch, Redirect, Rule, Unsupported
from weft.model.service import ServicePort


def outbound(mesh: Reading, asker_namespace: str, target: Target) -> OutboundPolicy | Unanswerable:
    """Return the policy for clients in `asker_namespace`."""
    where = resolve(mesh, target)
    if isinstance(where, Unanswerable):
        return where
    if isinstance(where, Outside):
        return _forward(Endpoint(where.address, {}), "egress-fallback", opaque=False)
    if isinstance(where, PodTarget):
        opaque = opaque_pod_port(mesh, where.pod, where.address.port)
        return _forward(endpoint(mesh, where.pod, where.address), "endpoint", opaque=opaque)
    asked = family(target.ip) if isinstance(target, Address) else target.family
    return _service(mesh, asker_namespace, where, asked)


def _service(mesh: Reading, asker: str, where: ServiceTarget, asked: Family | None) -> OutboundPolicy:
    service, number = where.service, where.port
    about = About("Service", service.meta.name, "core", service.meta.namespace, number)
    port = service.port(number)
    if port is None:
        if not service.headless:
            closed = OpaqueRoute(About(name="undefined-port"), None, forbidden=True)
            return OutboundPolicy(about, Protocol.OPAQUE, (), (), closed)
        port = ServicePort("", number, number)
    own = Backend(about, _balance(mesh, service, number, asked))
    timeouts, retry = _patience(SAYS_NOTHING, service)
    allow = mesh.settings.allow_request_headers
    plain_rule = OutboundRule((HttpMatch(),), (own,), timeouts=timeouts, retry=retry, allow_request_headers=allow)
    plain_http = OutboundRoute(About(name="http"), (), (plain_rule,))
    opaque = OpaqueRoute(About(name="opaq"), own)
    if opaque_service_port(mesh, service, port, mesh.profile_of(service, asker)):
        return OutboundPolicy(about, Protocol.OPAQUE, (), (), opaque)
    attached = chosen(mesh.routes_of(service), service, asker, port)
    grpc = tuple(_route(mesh, each, service, own, asked) for each in attached if each.grpc)
    http = tuple(_route(mesh, each, service, own, asked) for each in attached if not each.grpc)
    if grpc:  # As in Linkerd, a port with GRPCRoutes speaks gRPC and nothing else: HTTPRoutes beside them do not count.
        return OutboundPolicy(about, Protocol.GRPC, (), grpc, opaque)
    protocol = {APP_HTTP1: Protocol.HTTP1, APP_HTTP2: Protocol.HTTP2}.get(port.app_protocol, Protocol.DETECT)
    return OutboundPolicy(about, protocol, http or (plain_http,), (), opaque)


def chosen(routes: Iterable[Route], service: Service, asker: str, port: ServicePort) -> list[Route]:
    """Return the routes that hold for this client and port, oldest first, then by namespace and name."""
    namespace = service.meta.namespace
    for_port = [route for route in routes if any(parent.means(service, port) for parent in route.parents)]
    consumer = [route for route in for_port if route.meta.namespace == asker != namespace]
    producer = [route for route in for_port if route.meta.namespace == namespace]
    return sorted(consumer or producer, key=age)


def age(route: Route) -> tuple[str, str, str, ObjectId]:
    """Return what the Gateway API orders routes by that are equally specific."""
    return route.meta.created or NEVER, route.meta.namespace, route.meta.name, route.meta.id


def _route(mesh: Reading, route: Route, service: Service, own: Backend, asked: Family | None) -> OutboundRoute:
    which = route.meta.id
    about = About(which.kind, which.name, which.group, which.namespace)
    rules = tuple(_rule(mesh, route, rule, service, own, asked) for rule in route.rules)
    return OutboundRoute(about, route.hostnames, rules)


def _patience(nearest: Patience, service: Service) -> tuple[Timeouts, Retry | None]:
    """Return what holds where `nearest` is annotated; a limit of 0 is no retry, be it the Service's that it lifts."""
    retry = nearest.retry or service.patience.retry
    return nearest.timeouts or service.patience.timeouts or NO_TIMEOUTS, retry if retry and retry.limit else None


def _rule(
    mesh: Reading, route: Route, rule: Rule, service: Service, own: Backend, asked: Family | None
) -> OutboundRule:
    everything: tuple[HttpMatch] | tuple[GrpcMatch] = (GrpcMatch(),) if route.grpc else (HttpMatch(),)
    unknown = unsupported(rule.filters, grpc=route.grpc)
    filters = tuple(each for each in rule.filters if not isinstance(each, Unsupported))
    redirects = any(isinstance(each, Redirect) for each in filters)
    backends = (own,) if rule.backends is None else tuple(_backend(mesh, route, ref, asked) for ref in rule.backends)
    failure = None
    if unknown is not None:
        failure = Fail(500, f"unsupported filter {unknown}")
    elif not redirects and not any(backend.weight for backend in backends):
        failure = Fail(500, "no backend has a weight")
    timeouts, retry = _patience(route.patience, service)
    if rule.request_timeout is not None:
        timeouts = replace(timeouts, request=rule.request_timeout)
    allow = mesh.settings.allow_request_headers
    return OutboundRule(rule.matches or everything, backends, filters, failure, timeouts, retry, allow)


def _backend(mesh: Reading, route: Route, ref: BackendRef, asked: Family | None) -> Backend:
    """Return one backend; one that does not exist keeps its share, and answers it with 500."""
    about = About(ref.kind, ref.name, ref.group or "core", ref.namespace, ref.port or 0)
    problem = wrong(mesh, ref, grpc=route.grpc)
    service = mesh.service(ref.namespace, ref.name) if problem is None else None
    if service is None or ref.port is None:
        return Backend(about, None, ref.weight, failure=Fail(500, problem.message if problem else "no backend"))
    return Backend(about, _balance(mesh, service, ref.port, asked), ref.weight, ref.filters)


def _balance(mesh: Reading, service: Service, port: int, asked: Family | None) -> Balance:
    """Name the Service's endpoints; a family only where it is not the one that the plain name means."""
    others = service.families[1:]
    return Balance(
        mesh.settings.authority(service.meta.name, service.meta.namespace, port, asked if asked in others else None)
    )


def _forward(to: Endpoint, name: str, *, opaque: bool) -> OutboundPolicy:
    about = About(name=name)
    backend = Backend(about, Forward(to))
    http = OutboundRoute(about, (), (OutboundRule((HttpMatch(),), (backend,)),))
    stream = OpaqueRoute(about, backend)
    if opaque:
        return OutboundPolicy(about, Protocol.OPAQUE, (), (), stream)
    return OutboundPolicy(about, Protocol.DETECT, (http,), (), stream)
