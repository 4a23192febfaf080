"""What becomes of each route, Server, policy and profile: whether it is obeyed, and whether what it names is there.

Conditions have the form and the words of the Gateway API, and Linkerd's where it has its own. Pure, and a function of
the documents alone: neither their order nor what was there before counts. A message says where the document stands
that is in the way. Nothing is written anywhere, and times are for whoever writes conditions down.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from weft.compile import authority, backends
from weft.compile.answer import Unanswerable
from weft.compile.inbound import unsupported as inbound_filter
from weft.compile.opaque import opaque_service_port
from weft.compile.outbound import chosen
from weft.compile.reading import Reading
from weft.model import (
    AuthorizationPolicy,
    Document,
    ObjectId,
    Pod,
    Route,
    Server,
    ServerAuthorization,
    Service,
    ServiceProfile,
)
from weft.model.authorization import GROUP, Account
from weft.model.route import ParentRef, Rule
from weft.model.service import ServicePort
from weft.model.snapshot import Snapshot

ACCEPTED, RESOLVED = "Accepted", "ResolvedRefs"


@dataclass(frozen=True, slots=True)
class Condition:
    """`reason` is one word; a `message` for people may be there when all is well, too."""

    type: str
    holds: bool
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """`parent`: the one of a route's parents that the conditions are about; None for other documents."""

    conditions: tuple[Condition, ...]
    parent: ParentRef | None = None

    @property
    def wrong(self) -> tuple[Condition, ...]:
        """The conditions that do not hold."""
        return tuple(each for each in self.conditions if not each.holds)


def statuses(snapshot: Snapshot) -> Mapping[ObjectId, tuple[Status, ...]]:
    """Return the status of every document that has one; a route has one for each parent that can be one here."""
    teller = _Teller(snapshot)
    found = ((which, teller.status(document)) for which, document in sorted(snapshot.documents.items()))
    return {which: told for which, told in found if told is not None}


class _Teller:
    """Looks at one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.mesh, self.documents = Reading(snapshot), snapshot.documents
        self.pods: dict[str, list[Pod]] = {}
        self.servers: dict[str, list[Server]] = {}
        for _, document in sorted(snapshot.documents.items()):
            if isinstance(document, Pod):
                self.pods.setdefault(document.meta.namespace, []).append(document)
            elif isinstance(document, Server):
                self.servers.setdefault(document.meta.namespace, []).append(document)

    def status(self, document: Document) -> tuple[Status, ...] | None:
        if isinstance(document, Route):
            known = (each for each in document.parents if each.group in ("", GROUP))
            return tuple(self.route(document, parent) for parent in dict.fromkeys(known))
        if isinstance(document, Server):
            return (Status((self.server(document),)),)
        if isinstance(document, AuthorizationPolicy):
            return (Status((self.target(document.target), self.authentications(document))),)
        if isinstance(document, ServerAuthorization):
            return (Status((self.authorized(document),)),)
        if isinstance(document, ServiceProfile):
            return (Status((self.profiled(document), self.overrides(document))),)
        return None

    def route(self, route: Route, parent: ParentRef) -> Status:
        wrong = [
            (problem.reason, f"{problem.message} (spec.rules[{number}].backendRefs[{index}])")
            for number, rule in enumerate(route.rules)
            for index, ref in enumerate(rule.backends or ())
            if (problem := backends.wrong(self.mesh, ref, grpc=route.grpc)) is not None
        ]
        reason = wrong[0][0] if wrong else RESOLVED
        resolved = Condition(RESOLVED, not wrong, reason, _listed(message for _, message in wrong))
        return Status((self.attached(route, parent), resolved), parent)

    def attached(self, route: Route, parent: ParentRef) -> Condition:
        if (parent.group, parent.kind) == (GROUP, "Server"):
            server = self.documents.get(ObjectId(GROUP, "Server", parent.namespace, parent.name))
            if server is None or parent.namespace != route.meta.namespace:
                return _no_parent(f"there is no Server {parent.name} in {parent.namespace}")
            return self.unsupported(route, inbound_filter) or _accepted()
        if (parent.group, parent.kind) != ("", "Service"):
            return _no_parent(f"a route cannot hang on a {parent.kind} here")
        service = self.mesh.service(parent.namespace, parent.name)
        if service is None or service.external_name:
            what = "is an ExternalName" if service else f"does not exist in {parent.namespace}"
            return _no_parent(f"Service {parent.name} {what}")
        ports = [port for port in _ports(service, parent) if parent.means(service, port)]
        if not ports:
            wanted = parent.section or parent.port
            return _no_parent(f"Service {parent.name} has no port {wanted}")
        return self.unsupported(route) or self.passed_over(route, service, ports) or _accepted(_ignored(route))

    def unsupported(self, route: Route, at_server: Callable[[Rule], str] | None = None) -> Condition | None:
        for number, rule in enumerate(route.rules):
            kind = at_server(rule) if at_server else backends.unsupported(rule.filters, grpc=route.grpc)
            if kind:
                where = f"spec.rules[{number}].filters"
                return _not("UnsupportedValue", f"unsupported filter {kind} ({where}): answered with 500")
        return None

    def passed_over(self, route: Route, service: Service, ports: list[ServicePort]) -> Condition | None:
        """Whether something else decides on every port that the route is for."""
        profile = self.mesh.profile_of(service, route.meta.namespace)
        if all(opaque_service_port(self.mesh, service, port, profile) for port in ports):
            numbers = _listed(str(port.port) for port in ports)
            return _not("UnsupportedProtocol", f"port {numbers} of Service {service.meta.name} is opaque")
        if profile is not None and profile.decides:
            return _not("RouteReasonConflicted", f"{_named(profile)} takes the place of routes")
        rivals = [self.rival(route, service, port) for port in ports]
        if not route.grpc and all(rivals):
            return _not("RouteReasonConflicted", f"a port with a GRPCRoute has no HTTPRoutes: {_named(rivals[0])}")
        return None

    def rival(self, route: Route, service: Service, port: ServicePort) -> Route | None:
        """A GRPCRoute that holds for the same clients of the port."""
        holding = chosen(self.mesh.routes_of(service), service, route.meta.namespace, port)
        return next((each for each in holding if each.grpc), None)

    def server(self, server: Server) -> Condition:
        """Whether it governs the port of any pod that it selects."""
        rivals: dict[ObjectId, Server] = {}
        selected = governed = 0
        for pod in self.pods.get(server.meta.namespace, ()):
            port = server.port if isinstance(server.port, int) else pod.port_named(server.port)
            if port is None or not server.governs(pod, port):
                continue
            selected += 1
            first = self.mesh.server_of(pod, port)
            if first is None or first.meta.id == server.meta.id:
                governed += 1
            else:
                rivals[first.meta.id] = first
        names = _listed(_named(each) for _, each in sorted(rivals.items()))
        if rivals and not governed:
            return _not("Conflicted", f"the port is governed by {names}")
        if rivals:
            return _accepted(f"{selected - governed} of {selected} pods are governed by {names}")
        return _accepted("" if selected or server.pods is None else "it selects no port of a pod now")

    def target(self, target: ObjectId) -> Condition:
        if target.kind == "Namespace" or target in self.documents:
            return _accepted()
        return _not("TargetNotFound", f"{target} does not exist")

    def authentications(self, policy: AuthorizationPolicy) -> Condition:
        gone = [each for each in policy.required if not isinstance(each, Account) and self.documents.get(each) is None]
        if gone:
            return Condition(RESOLVED, False, "AuthenticationNotFound", f"{_listed(map(str, gone))}: it grants nothing")
        return _resolved()

    def authorized(self, written: ServerAuthorization) -> Condition:
        servers = self.servers.get(written.meta.namespace, ())
        if isinstance(written.server, str):
            found = any(server.meta.name == written.server for server in servers)
            return _accepted() if found else _not("TargetNotFound", f"Server {written.server} does not exist")
        found = any(written.server.selects(server.meta.labels) for server in servers)
        return _accepted() if found else _not("TargetNotFound", "its selector matches no Server")

    def profiled(self, profile: ServiceProfile) -> Condition:
        name = profile.meta.name
        about = authority.parse(name, self.mesh.settings.cluster_domain)
        if isinstance(about, Unanswerable) or about.instance:
            return _not("TargetNotFound", f"`{name}` is not a Service's name in {self.mesh.settings.cluster_domain}")
        service = self.mesh.service(about.namespace, about.service)
        if service is None:
            return _not("TargetNotFound", f"Service {about.service} does not exist in {about.namespace}")
        return _accepted()

    def overrides(self, profile: ServiceProfile) -> Condition:
        gone = [each.authority for each in profile.overrides if not self.reachable(each.authority)]
        if gone:
            return Condition(RESOLVED, False, "BackendNotFound", f"there is no {_listed(gone)}")
        return _resolved()

    def reachable(self, name: str) -> bool:
        about = authority.parse(name, self.mesh.settings.cluster_domain)
        service = None if isinstance(about, Unanswerable) else self.mesh.service(about.namespace, about.service)
        if service is None or isinstance(about, Unanswerable):
            return False
        return service.headless or service.port(about.port) is not None


def _ports(service: Service, parent: ParentRef) -> list[ServicePort]:
    if service.headless and parent.port is not None and service.port(parent.port) is None:
        return [ServicePort("", parent.port, parent.port)]
    return [port for port in service.ports if port.protocol == "TCP"]


def _ignored(route: Route) -> str:
    fields = [f"spec.rules[{number}].{name}" for number, rule in enumerate(route.rules) for name in rule.ignored]
    return f"without effect here: {_listed(fields)}" if fields else ""


def _accepted(message: str = "") -> Condition:
    return Condition(ACCEPTED, True, ACCEPTED, message)


def _resolved() -> Condition:
    return Condition(RESOLVED, True, RESOLVED)


def _no_parent(message: str) -> Condition:
    return _not("NoMatchingParent", message)


def _not(reason: str, message: str) -> Condition:
    return Condition(ACCEPTED, False, reason, message)


def _named(document: Document | None) -> str:
    return f"{document.meta.id} ({document.meta.origin})" if document is not None else ""


def _listed(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


KINDS = frozenset({"HTTPRoute", "GRPCRoute", "Server", "AuthorizationPolicy", "ServerAuthorization", "ServiceProfile"})
"""The kinds of documents that have a status."""
