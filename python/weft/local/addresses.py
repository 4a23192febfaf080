"""Who has which address: stable across edits of the mesh file, so that a running replica never moves.

Pure values. Replicas live in 198.18.0.0/16, Services in 198.19.0.0/16: benchmarking space, which meets neither LAN
nor VPN. Each has the same number in IPv6, after the prefix of a private network (RFC 4193) that is the same in every
mesh: nothing ever leaves a mesh by these addresses. So one number is given out, and `ipv6` writes it the other way.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

GATEWAY = "198.18.0.1"
CONTROL_PLANE = "198.18.0.2"
HOST = "198.18.0.3"
"""Stands for the host's loopback: `host.weft.internal`."""
UPLINK, UPLINK_GATEWAY = "198.18.255.254", "198.18.255.253"
"""The mesh's end of the link to the host's network, and what it takes for a router there."""
REPLICA_PREFIX = 16
SERVICE_RANGE = "198.19.0.0/16"
MESH_RANGE = "198.18.0.0/15"
"""All of these."""
REPLICA_PREFIX_IPV6 = 64
REPLICA_RANGE_IPV6 = "fdb6:5e1f:9d2c::/64"
SERVICE_RANGE_IPV6 = "fdb6:5e1f:9d2c:1::/64"


@dataclass(frozen=True, slots=True)
class Addresses:
    """What was given out. Each method returns the new state and the address."""

    replicas: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, str] = field(default_factory=dict)

    def replica(self, key: str) -> tuple["Addresses", str]:
        """The address of the replica `namespace/name`."""
        if key in self.replicas:
            return self, self.replicas[key]
        address = _free(_FIRST_REPLICA, self.replicas.values())
        return Addresses({**self.replicas, key: address}, self.services), address

    def service(self, key: str) -> tuple["Addresses", str]:
        """The address of the Service `namespace/name`."""
        if key in self.services:
            return self, self.services[key]
        address = _free(_FIRST_SERVICE, self.services.values())
        return Addresses(self.replicas, {**self.services, key: address}), address

    def keep(self, replicas: Iterable[str], services: Iterable[str]) -> "Addresses":
        """Forget all others."""
        replica_keys, service_keys = set(replicas), set(services)
        return Addresses(
            {key: address for key, address in self.replicas.items() if key in replica_keys},
            {key: address for key, address in self.services.items() if key in service_keys},
        )


def ipv6(address: str) -> str:
    """The IPv6 address of whoever has this IPv4 address of the mesh."""
    number = IPv4Address(address)
    prefix = _SERVICES_IPV6 if number >= _FIRST_SERVICE else _REPLICAS_IPV6
    return str(IPv6Address(prefix + int(number)))


def _free(first: IPv4Address, taken: Iterable[str]) -> str:
    used = set(taken)
    candidate = first
    while str(candidate) in used:
        candidate += 1
    return str(candidate)


_FIRST_REPLICA = IPv4Address("198.18.1.1")
_FIRST_SERVICE = IPv4Address("198.19.0.1")
_REPLICAS_IPV6 = int(IPv6Address(REPLICA_RANGE_IPV6.partition("/")[0]))
_SERVICES_IPV6 = int(IPv6Address(SERVICE_RANGE_IPV6.partition("/")[0]))
