"""Which ports the programs of a replica listen on, as the kernel's own tables say: nobody is connected to.

An application that listens on 0.0.0.0 is not there for IPv6. Behind a proxy that is no matter; without one, nobody may
be sent to it by that family.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from weft.local import namespaces

Socket = tuple[str, int]
"""Protocol (`TCP`, `UDP`) and port."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Sockets that others can reach: those on loopback are left out. One on `::` is IPv6's, whatever else it takes."""

    ipv4: frozenset[Socket] = frozenset()
    ipv6: frozenset[Socket] = frozenset()

    @property
    def takes_ipv6(self) -> bool:
        """Whether every TCP port that takes IPv4 takes IPv6 too, and there is one."""
        streams = {port for protocol, port in self.ipv6 if protocol == "TCP"}
        return bool(streams) and all(port in streams for protocol, port in self.ipv4 if protocol == "TCP")


def look(network: int) -> Listening:
    """What listens in a network namespace at this moment."""
    return namespaces.call_inside(network, here)


def here() -> Listening:
    """What listens in the present network namespace."""
    return read(_table("tcp"), _table("tcp6"), _table("udp6"))


def read(tcp: str, tcp6: str, udp6: str) -> Listening:
    """Read the kernel's tables, which have one socket a line after a heading."""
    return Listening(
        ipv4=frozenset(("TCP", port) for port in _ports(tcp, _LISTENS)),
        ipv6=frozenset(
            [("TCP", port) for port in _ports(tcp6, _LISTENS)] + [("UDP", port) for port in _ports(udp6, _UNCONNECTED)]
        ),
    )


def _ports(table: str, state: str) -> Iterator[int]:
    for line in table.splitlines()[1:]:
        fields = line.split()
        address, _, port = fields[1].partition(":")
        if fields[3] == state and address not in _LOOPBACK:
            yield int(port, 16)


def _table(name: str) -> str:
    try:
        return Path("/proc/thread-self/net", name).read_text()
    except FileNotFoundError:  # a kernel without IPv6
        return ""


_LISTENS = "0A"
_UNCONNECTED = "07"
_LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
"""127.0.0.1 and ::1 as the tables show them on a little-endian machine."""
