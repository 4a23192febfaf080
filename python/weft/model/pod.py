"""A Pod: one running replica, its addresses and whether it can take requests."""

from dataclasses import dataclass

from weft.model.family import Family, family
from weft.model.meta import Meta

MESHED_LABEL = "linkerd.io/control-plane-ns"
"""Carried by a pod that has a proxy; its value is the namespace of the control plane that the proxy belongs to."""


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A declared port; `name` is empty when it has none."""

    name: str
    port: int


@dataclass(frozen=True, slots=True)
class ProbePath:
    """An HTTP path that the machine itself asks to learn about the pod's health."""

    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Owner:
    """What made the pod, for example a Deployment."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """`ips` has the main address first. `hostname` and `subdomain` name the pod under a headless Service."""

    meta: Meta
    ips: tuple[str, ...]
    ready: bool
    service_account: str
    node: str = ""
    hostname: str = ""
    subdomain: str = ""
    ports: tuple[ContainerPort, ...] = ()
    probes: tuple[ProbePath, ...] = ()
    owner: Owner | None = None

    @property
    def meshed_by(self) -> str:
        """The control plane's namespace, or empty for a pod without a proxy."""
        return self.meta.labels.get(MESHED_LABEL, "")

    def ip(self, wanted: Family | None) -> str:
        """The address of a family; the pod's first where it has none of it or none is asked for. `ips` is not empty."""
        return next((ip for ip in self.ips if family(ip) is wanted), self.ips[0])

    def port_named(self, name: str) -> int | None:
        """The number of a named container port."""
        return next((port.port for port in self.ports if port.name == name), None)
