"""Why one client may or may not do one thing: every rule that was considered, where it is written, and which decided.

Reads the mesh through the same indexes as the answer itself, so that what is shown is what a proxy is told. It judges
nothing by itself: `judge` does, on that answer.
"""

from dataclasses import dataclass
from enum import Enum

from weft.compile import grants, judge
from weft.compile.answer import About, Authorization, InboundPolicy, Protocol, Unanswerable
from weft.compile.grants import Grant, Unusable
from weft.compile.inbound import DEFAULT_POLICY, inbound
from weft.compile.judge import Client, Outcome, Request, Verdict
from weft.compile.reading import Because, Reading
from weft.model import AuthorizationPolicy, Document, ObjectId, Pod, Route, Server
from weft.model.authorization import GROUP
from weft.model.clients import Clients, Proof
from weft.model.settings import INBOUND_POLICIES
from weft.model.snapshot import Snapshot


class Part(Enum):
    """What a rule had to do with the verdict."""

    DECIDED = "decided"
    CONSIDERED = "considered"
    PASSED_OVER = "passed over"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `origin` is `FILE:LINE`, empty for what is built in."""

    part: Part
    what: str
    origin: str
    says: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict and what led to it; `because` has every look-up."""

    verdict: Verdict
    protocol: Protocol
    rules: tuple[Rule, ...]
    because: Because


def explain(snapshot: Snapshot, pod: Pod, port: int, client: Client, request: Request | None) -> Explanation:
    """Explain what becomes of a request to a pod's port, or (None) of a connection of bytes."""
    mesh = Reading(snapshot)
    policy = inbound(mesh, pod.meta.namespace, pod.meta.name, port)
    if isinstance(policy, Unanswerable):
        raise LookupError(policy.reason)
    verdict = judge.judge(policy, client, request)
    teller = _Teller(mesh, snapshot, policy, client, verdict)
    rules = (*teller.servers(pod, port), *teller.routes(pod, port), *teller.grants(pod, port))
    return Explanation(verdict, policy.protocol, rules, mesh.because)


class _Teller:
    """Puts each rule into words for one client."""

    def __init__(
        self, mesh: Reading, snapshot: Snapshot, policy: InboundPolicy, client: Client, verdict: Verdict
    ) -> None:
        self.mesh, self.snapshot, self.policy, self.client, self.verdict = mesh, snapshot, policy, client, verdict

    def servers(self, pod: Pod, port: int) -> list[Rule]:
        """The Servers about the port, else where its default policy comes from."""
        found = self.mesh.servers_of(pod, port)
        if not found:
            return [self._default(pod)]
        first, *others = found
        says = f"governs port {port}: {first.protocol.value}, accessPolicy {first.access_policy}"
        decided = self.verdict.outcome in (Outcome.DENIED, Outcome.NO_ROUTE)
        told = [_rule(first, Part.DECIDED if decided else Part.CONSIDERED, says)]
        words = f"is about port {port} too, but {first.meta.name} is older or first by name"
        return [*told, *(_rule(each, Part.PASSED_OVER, words) for each in others)]

    def routes(self, pod: Pod, port: int) -> list[Rule]:
        """The routes of the port and which of them takes the request."""
        server = self.mesh.server_of(pod, port)
        if server is None or self.policy.protocol in (Protocol.OPAQUE, Protocol.TLS):
            return []
        taken = self.verdict.route
        rules = []
        for route in self.mesh.routes_to(server):
            takes = taken is not None and (taken.kind, taken.name) == (route.meta.id.kind, route.meta.name)
            part = Part.CONSIDERED if takes else Part.PASSED_OVER
            rules.append(_rule(route, part, "takes the request" if takes else "does not take the request"))
        return rules

    def grants(self, pod: Pod, port: int) -> list[Rule]:
        """What is granted to whom on the route and on the port, in the order in which a proxy asks."""
        server = self.mesh.server_of(pod, port)
        taken = self.verdict.route
        rules = []
        if server is not None:
            for route in self.mesh.routes_to(server):
                applies = taken is not None and (taken.kind, taken.name) == (route.meta.id.kind, route.meta.name)
                where = f"on {route.meta.id.kind} {route.meta.name}: "
                rules += [self._grant(each, where, applies=applies) for each in grants.of_route(self.mesh, route)]
            rules += [self._grant(each, "", applies=True) for each in grants.of_server(self.mesh, server)]
        else:
            rules += [self._grant(each, "", applies=True) for each in self.policy.authorizations]
        if taken == About(name="probe"):
            rules += [self._grant(each, "", applies=True) for each in _probe_grants(self.policy)]
        return rules

    def _grant(self, grant: Grant, where: str, *, applies: bool) -> Rule:
        document = self._document(grant.about)
        what, origin = _called(document) if document else (judge.describe(grant.about), "")
        if isinstance(grant, Unusable):
            return Rule(Part.PASSED_OVER, what, origin, f"{where}grants nothing: {grant.reason}")
        says = where + self._words(grant, document)
        if not applies:
            return Rule(Part.PASSED_OVER, what, origin, f"{says}; another route takes the request")
        decided = self.verdict.authorization == grant.about
        return Rule(Part.DECIDED if decided else Part.CONSIDERED, what, origin, says)

    def _words(self, grant: Authorization, document: Document | None) -> str:
        by = self._requirements(document)
        whom = _whom(grant.clients)
        if not judge.covers(grant, self.client.address):
            networks = ", ".join(each.cidr for each in grant.networks)
            return f"lets {whom} in from {networks}{by}: {self.client.address} is not there"
        if judge.admits(grant, self.client):
            return f"lets {whom} in{by}: the client is meant"
        who = self.client.identity or "the client has no identity"
        return f"lets {whom} in{by}: {who}" + (" is not meant" if self.client.identity else "")

    def _requirements(self, document: Document | None) -> str:
        """Which authentications a policy asks for, and where those are written."""
        if not isinstance(document, AuthorizationPolicy):
            return ""
        found = [
            self.snapshot.documents[each]
            for each in document.required
            if isinstance(each, ObjectId) and each in self.snapshot.documents
        ]
        return f" by {' and '.join(' at '.join(_called(each)) for each in found)}" if found else ""

    def _document(self, about: About) -> Document | None:
        kind = KINDS.get(about.kind)
        return self.snapshot.documents.get(ObjectId(GROUP, kind, about.namespace, about.name)) if kind else None

    def _default(self, pod: Pod) -> Rule:
        says = f"default policy {self.policy.about.name}, as no Server is about the port"
        namespace = self.mesh.namespace(pod.meta.namespace)
        for each in (pod, namespace):
            if each is not None and each.meta.annotations.get(DEFAULT_POLICY) in INBOUND_POLICIES:
                return Rule(Part.CONSIDERED, *_called(each), f"{says}, by annotation")
        return Rule(Part.CONSIDERED, "mesh", "", says)


def _probe_grants(policy: InboundPolicy) -> tuple[Authorization, ...]:
    return next((route.authorizations for route in policy.routes if route.about == About(name="probe")), ())


def _whom(clients: Clients) -> str:
    if clients.proof is Proof.NONE:
        return "anybody"
    if clients.proof is Proof.TLS:
        return "anybody with mesh TLS"
    names = [*clients.identities, *(f"*.{each}" if each else "every identity" for each in clients.suffixes)]
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return shown or "nobody"


def _rule(document: Server | Route, part: Part, says: str) -> Rule:
    return Rule(part, *_called(document), says)


def _called(document: Document) -> tuple[str, str]:
    """Return kind and name of a document, and where it is written."""
    return f"{document.meta.id.kind} {document.meta.name}", str(document.meta.origin)


KINDS = {"authorizationpolicy": "AuthorizationPolicy", "serverauthorization": "ServerAuthorization"}
"""From the kinds as metrics write them."""
SHOWN = 4
