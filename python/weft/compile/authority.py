"""Names of Services as proxies write them: `name.namespace.svc.DOMAIN[:port]`, or `instance.` before it.

With `svc-ipv4` or `svc-ipv6` in place of `svc` it means the Service's endpoints of that family: the wire has no other
place in which a proxy of either kind could repeat, when it asks for endpoints, which family its client had chosen.
"""

import ipaddress
from dataclasses import dataclass

from weft.compile.answer import Code, Unanswerable
from weft.model.family import Family


@dataclass(frozen=True, slots=True)
class Authority:
    """A Service's port; `instance` names one pod of a headless Service, or is empty; without `family`: its first."""

    service: str
    namespace: str
    port: int
    instance: str = ""
    family: Family | None = None


def parse(text: str, cluster_domain: str, default_port: int = 80) -> Authority | Unanswerable:
    """Read an authority. Addresses and names outside the mesh are INVALID_ARGUMENT, as in Linkerd."""
    host, colon, port_text = text.strip().rpartition(":")
    if not colon or text.endswith("]"):
        host, port_text = text.strip(), str(default_port)
    if not port_text.isdecimal() or not 0 < int(port_text) < 65536:
        return Unanswerable(Code.INVALID_ARGUMENT, f"no valid port in `{text}`")
    if is_address(host):
        return Unanswerable(Code.INVALID_ARGUMENT, f"`{text}` is an address; endpoints are asked for by name")
    name = host.rstrip(".").lower()
    labels = name.removesuffix(f".{cluster_domain}").split(".")
    kind = labels.pop()
    if not name.endswith(f".{cluster_domain}") or kind not in KINDS or not 2 <= len(labels) <= 3 or not all(labels):
        return Unanswerable(Code.INVALID_ARGUMENT, f"`{text}` is not the name of a Service in {cluster_domain}")
    instance = labels[0] if len(labels) == 3 else ""
    return Authority(labels[-2], labels[-1], int(port_text), instance, KINDS[kind])


def is_address(host: str) -> bool:
    """Say whether a host is an IP address, in brackets or without."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


KINDS = {"svc": None, "svc-ipv4": Family.IPV4, "svc-ipv6": Family.IPV6}
