"""The names of a mesh: which records a plan and its ready replicas give. Pure: a `Zone` is rebuilt, never changed.

Names are as in Kubernetes: `SERVICE.NAMESPACE.svc.DOMAIN` (also `SERVICE.NAMESPACE.svc`, `SERVICE.NAMESPACE`, and
`SERVICE` by the replica's search path), a headless Service's replicas, `REPLICA.SERVICE...`, SRV for named ports, and
the way back from an address to its name. Each in IPv4 and IPv6.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from weft.local.addresses import HOST, REPLICA_RANGE_IPV6
from weft.local.listening import Listening
from weft.local.plan import CLUSTER_DOMAIN, Plan, Replica, Service, takes_ipv6
from weft.model.family import Family, family


@dataclass(slots=True)
class Zone:
    """Fully qualified name (lower case, no final dot) -> type -> records as text."""

    records: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        """The authoritative reply: records, an empty answer for a known name, or NXDOMAIN at once."""
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA | dns.flags.RA
        if not query.question:
            reply.set_rcode(dns.rcode.FORMERR)
            return reply
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        known = self.records.get(name)
        if known is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
            return reply
        kind = dns.rdatatype.to_text(question.rdtype)
        if records := known.get(kind):
            reply.answer.append(dns.rrset.from_text_list(question.name, _TTL, "IN", kind, records))
        return reply

    def is_foreign(self, name: str) -> bool:
        """Whether a name (lower case, no final dot) may be known elsewhere: it is not under the mesh's."""
        own = (CLUSTER_DOMAIN, "svc", HOST_NAME.partition(".")[2], *_REVERSE)
        return bool(name) and name not in self.records and not any(f".{name}".endswith(f".{each}") for each in own)


def build(plan: Plan, ready: Container[str], listening: Mapping[str, Listening]) -> Zone:
    """The zone for `plan` when the replicas with keys in `ready` are ready; `listening` is about IPv6, by key."""
    zone = Zone({HOST_NAME: {"A": [HOST]}})
    for service in plan.services.values():
        host = f"{service.name}.{service.namespace}.svc.{CLUSTER_DOMAIN}"
        replicas = [replica for replica in plan.replicas_of(service) if replica.key in ready]
        own = {replica.name: _addresses(service, replica, listening) for replica in replicas}
        _add_addresses(zone, host, service.addresses or [ip for each in own.values() for ip in each])
        for name, addresses in own.items():
            _add_addresses(zone, f"{name}.{host}", addresses)
            _add_pointers(zone, f"{name}.{host}", addresses)
        _add_pointers(zone, host, service.addresses)
        _add_srv(zone, service, host, replicas)
    return zone


def _addresses(service: Service, replica: Replica, listening: Mapping[str, Listening]) -> list[str]:
    """A replica's addresses of the Service's families."""
    has = {Family.IPV4: replica.address, Family.IPV6: replica.address6 if takes_ipv6(replica, listening) else ""}
    return [has[each] for each in service.families if has[each]]


def _add_addresses(zone: Zone, host: str, addresses: Iterable[str]) -> None:
    of_family: dict[str, list[str]] = {"A": [], "AAAA": []}
    for address in addresses:
        of_family["AAAA" if family(address) is Family.IPV6 else "A"].append(address)
    for kind, records in of_family.items():
        _add(zone, host, kind, records)


def _add_pointers(zone: Zone, host: str, addresses: Iterable[str]) -> None:
    """The first name stays: an address has one."""
    for address in addresses:
        name = dns.reversename.from_address(address).to_text(omit_final_dot=True)
        zone.records.setdefault(name, {}).setdefault("PTR", [f"{host}."])


def _add(zone: Zone, host: str, kind: str, records: list[str]) -> None:
    for name in (host, host.removesuffix(f".{CLUSTER_DOMAIN}"), host.removesuffix(f".svc.{CLUSTER_DOMAIN}")):
        zone.records.setdefault(name, {}).setdefault(kind, []).extend(records)


def _add_srv(zone: Zone, service: Service, host: str, replicas: list[Replica]) -> None:
    for port in service.ports:
        if not port.name:
            continue
        targets = [host] if service.addresses else [f"{replica.name}.{host}" for replica in replicas]
        records = [f"0 {100 // max(len(targets), 1)} {port.port} {target}." for target in targets]
        _add(zone, f"_{port.name}._{port.protocol.lower()}.{host}", "SRV", records)


def resolv_conf(namespace: str, server: str) -> str:
    """What a replica's /etc/resolv.conf says."""
    search = f"{namespace}.svc.{CLUSTER_DOMAIN} svc.{CLUSTER_DOMAIN} {CLUSTER_DOMAIN}"
    return f"nameserver {server}\nsearch {search}\noptions ndots:5 timeout:2\n"


def hosts(replica: Replica) -> str:
    """What a replica's /etc/hosts says."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback", f"{replica.address} {replica.name}"]
    lines += [f"{replica.address6} {replica.name}"] if replica.address6 else []
    return "\n".join(lines) + "\n"


_TTL = 1
_REVERSE_48 = len("c.2.d.9.f.1.e.5.6.b.d.f.ip6.arpa")
_REVERSE = (
    *(f"{second}.198.in-addr.arpa" for second in (18, 19)),
    dns.reversename.from_address(REPLICA_RANGE_IPV6.partition("/")[0]).to_text(omit_final_dot=True)[-_REVERSE_48:],
)
"""Names of the mesh's own addresses, IPv6 by the /48 that both of its ranges are in."""
HOST_NAME = "host.weft.internal"
NSSWITCH = (
    "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nservices: files\nprotocols: files\n"
)
"""A replica's /etc/nsswitch.conf: names come from the mesh, not from a resolver daemon of the host."""
GAI_CONF = (
    "precedence ::1/128 50\nprecedence ::/0 40\nprecedence ::ffff:0:0/96 35\nprecedence 2002::/16 30\n"
    "precedence 2001::/32 5\nprecedence fc00::/7 3\nprecedence ::/96 1\n"
)
"""A replica's /etc/gai.conf: glibc then prefers IPv4 to private IPv6 addresses, as RFC 6724 (section 2.1) says and Go,
musl and c-ares do by themselves. Without it a name with both leads to IPv6 first, where many programs do not listen."""
