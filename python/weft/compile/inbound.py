"""Who may reach one port of one workload, and what the port speaks.

A Server that selects the port says both; else the default policy does: the pod's annotation, its namespace's, the
mesh's. Grants by documents of their own (AuthorizationPolicy and the like) are not read yet, so that a Server without
`accessPolicy` lets nobody in. Paths that the machine itself probes are let in always: a probe carries no identity.
"""

from weft.compile.answer import (
    About,
    Authorization,
    Clients,
    Code,
    InboundPolicy,
    InboundRoute,
    Protocol,
    Unanswerable,
)
from weft.compile.opaque import opaque_pod_port
from weft.compile.reading import Reading
from weft.model import Pod
from weft.model.route import Compare, HttpMatch, PathMatch
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
EVERYWHERE = ("0.0.0.0/0", "::/0")


def inbound(mesh: Reading, namespace: str, name: str, port: int) -> InboundPolicy | Unanswerable:
    """Return the policy of a pod's port; a pod that does not exist is NOT_FOUND."""
    pod = mesh.pod(namespace, name)
    if pod is None:
        return Unanswerable(Code.NOT_FOUND, f"no pod {name} in namespace {namespace}")
    server = mesh.server_of(pod, port)
    if server is not None:
        about = About("server", server.meta.name, server.meta.id.group, server.meta.namespace)
        protocol, policy = PROTOCOLS[server.protocol], server.access_policy
    else:
        policy = policy_name(mesh, pod)
        about = About(name=policy)
        protocol = Protocol.OPAQUE if opaque_pod_port(mesh, pod, port) else Protocol.DETECT
    routes = () if protocol in (Protocol.OPAQUE, Protocol.TLS) else _routes(mesh, pod, port)
    return InboundPolicy(about, protocol, pod.ips, _authorizations(mesh, policy), routes)


def policy_name(mesh: Reading, pod: Pod) -> str:
    """Return the default policy of a pod; a name that does not exist is passed over."""
    own = pod.meta.annotations.get(DEFAULT_POLICY, "")
    if own in INBOUND_POLICIES:
        return own
    document = mesh.namespace(pod.meta.namespace)
    of_namespace = document.meta.annotations.get(DEFAULT_POLICY, "") if document else ""
    return of_namespace if of_namespace in INBOUND_POLICIES else mesh.settings.default_inbound_policy


def _authorizations(mesh: Reading, policy: str) -> tuple[Authorization, ...]:
    if policy == "deny":
        return ()
    networks = mesh.settings.cluster_networks if policy.startswith("cluster-") else EVERYWHERE
    clients = Clients.MESHED if policy.endswith("-authenticated") else Clients.ANYONE
    return (Authorization(About(name=policy), networks, clients),)


def _routes(mesh: Reading, pod: Pod, port: int) -> tuple[InboundRoute, ...]:
    """Return the probes' route, then the one for all other requests."""
    everything = InboundRoute(About(name="default"), (HttpMatch(PathMatch(Compare.PREFIX, "/")),), ())
    paths = sorted({probe.path for probe in pod.probes if probe.port == port})
    if not paths:
        return (everything,)
    grant = Authorization(About(name="probe"), mesh.settings.probe_networks, Clients.ANYONE)
    matches = tuple(HttpMatch(PathMatch(Compare.EXACT, path), method="GET") for path in paths)
    return (InboundRoute(About(name="probe"), matches, (grant,)), everything)
