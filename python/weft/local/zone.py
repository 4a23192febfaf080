"""The names of a mesh: which records a plan and its ready replicas give. Pure: a `Zone` is rebuilt, never changed.

Names are as in Kubernetes: `SERVICE.NAMESPACE.svc.DOMAIN` (also `SERVICE.NAMESPACE.svc`, `SERVICE.NAMESPACE`, `SERVICE` through
the replica's search path), the replicas of a headless Service, `REPLICA.SERVICE...` and SRV for named ports.
"""

from collections.abc import Container
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from weft.local.plan import CLUSTER_DOMAIN, Plan, Replica, Service


@dataclass(slots=True)
class Zone:
    """Fully qualified name (lower case, no final dot) -> records as text."""

    addresses: dict[str, list[str]] = field(default_factory=dict)
    services: dict[str, list[str]] = field(default_factory=dict)

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        """The authoritative reply: records, an empty answer for a known name, or NXDOMAIN at once."""
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA | dns.flags.RA
        if not query.question:
            reply.set_rcode(dns.rcode.FORMERR)
            return reply
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        if name not in self.addresses and name not in self.services:
            reply.set_rcode(dns.rcode.NXDOMAIN)
            return reply
        if question.rdtype == dns.rdatatype.A:
            records, kind = self.addresses.get(name, []), "A"
        elif question.rdtype == dns.rdatatype.SRV:
            records, kind = self.services.get(name, []), "SRV"
        else:
            records, kind = [], "A"
        if records:
            reply.answer.append(dns.rrset.from_text_list(question.name, _TTL, "IN", kind, records))
        return reply


def build(plan: Plan, ready: Container[str]) -> Zone:
    """The zone for `plan` when the replicas with keys in `ready` are ready."""
    zone = Zone()
    for service in plan.services.values():
        host = f"{service.name}.{service.namespace}.svc.{CLUSTER_DOMAIN}"
        replicas = [replica for replica in plan.replicas_of(service) if replica.key in ready]
        _add(zone.addresses, host, [service.address] if service.address else [replica.address for replica in replicas])
        for replica in replicas:
            _add(zone.addresses, f"{replica.name}.{host}", [replica.address])
        _add_srv(zone, service, host, replicas)
    return zone


def _add(table: dict[str, list[str]], host: str, records: list[str]) -> None:
    for name in (host, host.removesuffix(f".{CLUSTER_DOMAIN}"), host.removesuffix(f".svc.{CLUSTER_DOMAIN}")):
        table.setdefault(name, []).extend(records)


def _add_srv(zone: Zone, service: Service, host: str, replicas: list[Replica]) -> None:
    for port in service.ports:
        if not port.name:
            continue
        targets = [host] if service.address else [f"{replica.name}.{host}" for replica in replicas]
        records = [f"0 {100 // max(len(targets), 1)} {port.port} {target}." for target in targets]
        _add(zone.services, f"_{port.name}._{port.protocol.lower()}.{host}", records)


def resolv_conf(namespace: str, server: str) -> str:
    """What a replica's /etc/resolv.conf says."""
    search = f"{namespace}.svc.{CLUSTER_DOMAIN} svc.{CLUSTER_DOMAIN} {CLUSTER_DOMAIN}"
    return f"nameserver {server}\nsearch {search}\noptions ndots:5 timeout:2\n"


def hosts(replica: Replica) -> str:
    """What a replica's /etc/hosts says."""
    return f"127.0.0.1 localhost\n::1 localhost\n{replica.address} {replica.name}\n"


_TTL = 1
NSSWITCH = (
    "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nservices: files\nprotocols: files\n"
)
"""A replica's /etc/nsswitch.conf: names come from the mesh, not from a resolver daemon of the host."""
