"""Answers about inbound policy for commands: which documents a running mesh obeys, and which replica a name means.

Reads what the control plane reads. Why somebody is let in is `weft.compile.explain`'s to say.
"""

from dataclasses import dataclass

from weft.compile import grants
from weft.compile.answer import InboundPolicy, Protocol
from weft.compile.explain import Explanation, explain
from weft.compile.grants import Unusable
from weft.compile.inbound import inbound
from weft.compile.judge import Client, Request
from weft.compile.reading import Reading
from weft.lib.errors import WeftError
from weft.local import client
from weft.local.client import running
from weft.local.options import Options
from weft.local.plan import CONTROL_NAMESPACE, TRUST_DOMAIN
from weft.model import ObjectId, Pod, Server, Service
from weft.model.family import plain
from weft.model.settings import Settings
from weft.model.snapshot import Snapshot
from weft.resources import load_files

WORKLOAD_LABEL = "mesh.weft.dev/workload"
IDENTITY_MARK = ".serviceaccount.identity."
"""In every identity that has the form of a DNS name, and in no name of a workload: those have no dots."""
NOWHERE = "0.0.0.0"
"""The address of clients that have none: in every network that is not narrower than all."""


@dataclass(frozen=True, slots=True)
class Explained:
    """An explanation with what the names were taken to mean."""

    client: Client
    client_name: str
    server: Pod
    port: int
    request: Request | None
    explanation: Explanation


def snapshot(mesh: str) -> Snapshot:
    """Return the documents in force in a mesh that runs. Raises WeftError otherwise."""
    state = running(mesh)
    options = Options.read(client.ask(mesh, {"do": "options"}).get("options"))
    loaded = load_files([state.objects])
    spiffe = options.identity_form == "spiffe"
    settings = Settings(control_namespace=CONTROL_NAMESPACE, trust_domain=TRUST_DOMAIN, spiffe=spiffe)
    return Snapshot.of(settings, loaded.documents)


def explained(
    mesh: Snapshot, source: str, destination: str, request: Request | None, namespace: str = "default"
) -> Explained:
    """Explain a request from a workload, a replica, an identity or an address; without `request`, a plain one.

    Raises WeftError.
    """
    asker, name = _client(mesh, source, namespace)
    server, port = _server(mesh, destination, namespace)
    if request is None:
        policy = inbound(Reading(mesh), server.meta.namespace, server.meta.name, port)
        opaque = isinstance(policy, InboundPolicy) and policy.protocol in (Protocol.OPAQUE, Protocol.TLS)
        request = None if opaque else Request(host=server.meta.name)
    return Explained(asker, name, server, port, request, explain(mesh, server, port, asker, request))


def authorizations(mesh: Snapshot, name: str, namespace: str = "default") -> list[dict[str, object]]:
    """Return one row for each grant on a port or route of a workload or replica: what `weft authz` shows."""
    reading = Reading(mesh)
    rows: dict[tuple[str, ...], dict[str, object]] = {}
    for pod in _pods(mesh, name, namespace):
        written = (each.port for each in mesh.documents.values() if isinstance(each, Server))
        numbers = {each for each in written if isinstance(each, int)}
        for port in sorted(numbers | {port.port for port in pod.ports}):
            server = reading.server_of(pod, port)
            if server is None:
                continue
            own = grants.of_server(reading, server)
            for route in (None, *reading.routes_to(server)):
                given = own if route is None else (*grants.of_route(reading, route), *own)
                for grant in given:
                    if isinstance(grant, Unusable):
                        continue
                    row = _row(route.meta.name if route else "*", server.meta.name, grant.about.kind, grant.about.name)
                    rows.setdefault(tuple(map(str, row.values())), row)
    return list(rows.values())


def replicas(mesh: Snapshot, name: str, namespace: str = "default") -> list[str]:
    """Return the keys of the replicas that a name means. Raises WeftError."""
    return [f"{pod.meta.namespace}/{pod.meta.name}" for pod in _pods(mesh, name, namespace)]


def _row(route: str, server: str, kind: str, name: str) -> dict[str, object]:
    return {
        "route": route,
        "server": server,
        "authorization_policy": name if kind == "authorizationpolicy" else "",
        "server_authorization": name if kind == "serverauthorization" else "",
        "default": name if kind == "default" else "",
    }


def _client(mesh: Snapshot, source: str, namespace: str) -> tuple[Client, str]:
    try:
        return Client(plain(source)), source
    except ValueError:
        if "://" in source or IDENTITY_MARK in source:
            return Client(_address(mesh, source), source, tls=True), source
    pod = _pods(mesh, source, namespace)[0]
    identity = _identity(mesh, pod)
    return Client(pod.ips[0] if pod.ips else NOWHERE, identity, tls=bool(identity)), pod.meta.name


def _identity(mesh: Snapshot, pod: Pod) -> str:
    return mesh.settings.identity(pod.service_account, pod.meta.namespace) if pod.meshed_by else ""


def _address(mesh: Snapshot, identity: str) -> str:
    """Return where somebody with an identity comes from, if it is of this mesh."""
    pods = sorted((each for each in mesh.documents.values() if isinstance(each, Pod)), key=lambda pod: pod.meta.id)
    return next((pod.ips[0] for pod in pods if pod.ips and _identity(mesh, pod) == identity), NOWHERE)


def _server(mesh: Snapshot, destination: str, namespace: str) -> tuple[Pod, int]:
    name, colon, text = destination.rpartition(":")
    name = name if colon else text
    if colon and not text.isdecimal():
        raise WeftError(f"`{text}` is not a port", "write NAME:PORT, for example api:8080")
    pods = _pods(mesh, name, namespace)
    number = int(text) if colon else None
    place, plain_name = _split(name, namespace)
    service = _service(mesh, place, plain_name)
    wanted = service.port(number) if service and number else None
    if wanted is not None:
        target = wanted.target if isinstance(wanted.target, int) else pods[0].port_named(wanted.target)
        number = target or number
    if number is None:
        known = [port.port for port in pods[0].ports]
        if len(known) != 1:
            listed = ", ".join(map(str, known)) or "none"
            raise WeftError(f"{name} has more than one port, or none", f"write {name}:PORT; the ports are {listed}")
        number = known[0]
    return pods[0], number


def _pods(mesh: Snapshot, name: str, namespace: str) -> list[Pod]:
    """Return the pods that a name means: a workload's, the one of exactly that name, or a Server's."""
    place, plain_name = _split(name, namespace)
    pods = sorted(
        (each for each in mesh.documents.values() if isinstance(each, Pod) and each.meta.namespace == place),
        key=lambda pod: pod.meta.id,
    )
    found = [pod for pod in pods if pod.meta.labels.get(WORKLOAD_LABEL) == plain_name]
    found = found or [pod for pod in pods if pod.meta.name == plain_name]
    if not found:
        service = _service(mesh, place, plain_name)
        selector = service.selector if service else {}
        found = [pod for pod in pods if selector and selector.items() <= pod.meta.labels.items()]
    if not found:
        known = sorted({pod.meta.labels.get(WORKLOAD_LABEL, pod.meta.name) for pod in pods})
        hint = f"there are {', '.join(known) or 'none'}"
        raise WeftError(f"no workload or replica {plain_name} in namespace {place}", hint)
    return found


def _split(name: str, namespace: str) -> tuple[str, str]:
    place, slash, own = name.partition("/")
    return (place, own) if slash else (namespace, place)


def _service(mesh: Snapshot, namespace: str, name: str) -> Service | None:
    found = mesh.documents.get(ObjectId("", "Service", namespace, name))
    return found if isinstance(found, Service) else None
