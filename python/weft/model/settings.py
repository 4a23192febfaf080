"""What holds for the whole mesh and is decided when the control plane starts."""

from dataclasses import dataclass

from weft.model.authorization import Network
from weft.model.family import Family

DEFAULT_OPAQUE_PORTS = frozenset({25, 587, 3306, 4444, 5432, 6379, 9300, 11211})
"""Ports of well-known protocols in which the server may speak first: no detection unless annotated otherwise."""

INBOUND_POLICIES = (
    "all-unauthenticated",
    "all-authenticated",
    "cluster-unauthenticated",
    "cluster-authenticated",
    "deny",
    "audit",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The mesh's names, and the defaults that annotations override. Networks are in CIDR notation."""

    control_namespace: str = "weft"
    trust_domain: str = "cluster.local"
    cluster_domain: str = "cluster.local"
    default_inbound_policy: str = "all-unauthenticated"
    opaque_ports: frozenset[int] = DEFAULT_OPAQUE_PORTS
    cluster_networks: tuple[str, ...] = (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "fd00::/8",
    )
    probe_networks: tuple[str, ...] = ("0.0.0.0/0", "::/0")
    inbound_port: int = 4143
    allow_request_headers: bool = False
    """Whether a request's own `l5d-*` headers may change the timeouts and retries of its route."""

    spiffe: bool = False
    """Whether workloads are known by SPIFFE URIs. Their certificates bear the DNS-like name as well, for SNI."""

    @property
    def cluster(self) -> tuple[Network, ...]:
        """The cluster's networks, as grants name them."""
        return tuple(Network(each) for each in self.cluster_networks)

    def identity(self, service_account: str, namespace: str) -> str:
        """Return who a workload is that runs as this service account, as peers and policies name it."""
        if self.spiffe:
            return f"spiffe://{self.trust_domain}/ns/{namespace}/sa/{service_account}"
        return self.server_name(service_account, namespace)

    def server_name(self, service_account: str, namespace: str) -> str:
        """Return the DNS-like name of such a workload: what a client sends as SNI, and asks a certificate for."""
        return f"{service_account}.{namespace}.serviceaccount.identity.{self.control_namespace}.{self.trust_domain}"

    def full_name(self, service: str, namespace: str) -> str:
        """Return a Service's full name."""
        return f"{service}.{namespace}.svc.{self.cluster_domain}"

    def authority(self, service: str, namespace: str, port: int, family: Family | None = None) -> str:
        """Return a Service's full name with its port; with a family, the name of its endpoints in that one."""
        kind = f"svc-{family.value.lower()}" if family else "svc"
        return f"{service}.{namespace}.{kind}.{self.cluster_domain}:{port}"
