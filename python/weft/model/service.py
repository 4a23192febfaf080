"""A Service: a name and an address with ports, in front of the pods that its selector matches."""

from collections.abc import Mapping
from dataclasses import dataclass

from weft.model.family import Family, family
from weft.model.meta import Meta
from weft.model.retry import SAYS_NOTHING, Patience


@dataclass(frozen=True, slots=True)
class ServicePort:
    """`target` is a port number, or the name of a container port."""

    name: str
    port: int
    target: int | str
    app_protocol: str = ""
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """`cluster_ips` is empty for a headless Service; an empty `selector` selects nothing."""

    meta: Meta
    ports: tuple[ServicePort, ...]
    selector: Mapping[str, str]
    cluster_ips: tuple[str, ...] = ()
    headless: bool = False
    external_name: str = ""
    publish_not_ready: bool = False
    ip_families: tuple[Family, ...] = ()
    """As written; empty where the document leaves it to whoever gives out addresses."""
    ip_family_policy: str = ""
    patience: Patience = SAYS_NOTHING

    @property
    def families(self) -> tuple[Family, ...]:
        """The families in which the Service can be reached, the preferred one first; empty when nothing tells."""
        return tuple(dict.fromkeys(family(ip) for ip in self.cluster_ips)) or self.ip_families

    def port(self, number: int) -> ServicePort | None:
        """The TCP port with this number."""
        return next((port for port in self.ports if port.port == number and port.protocol == "TCP"), None)
