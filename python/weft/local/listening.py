"""Which ports the programs of a replica listen on, as the kernel's own tables say: nobody is connected to.

TCP by the kernel's diagnosis socket, which visits listeners only: the table in /proc makes it walk all places for
connections, milliseconds each time. Where the kernel has no such socket, the table.

An application that listens on 0.0.0.0 is not there for IPv6. Behind a proxy that is no matter; without one, nobody may
be sent to it by that family.
"""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
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


def look(network: int, datagrams: bool) -> Listening:
    """What listens in a network namespace at this moment; `datagrams`: by UDP too, which costs as much again."""
    return namespaces.call_inside(network, lambda: here(datagrams))


def here(datagrams: bool = True) -> Listening:
    """What listens in the present network namespace."""
    try:
        ipv4, ipv6 = diagnosed(socket.AF_INET), diagnosed(socket.AF_INET6)
    except OSError:
        return read(_table("tcp"), _table("tcp6"), _table("udp6"))
    streams = frozenset(("TCP", port) for port in ipv6)
    others = read("", "", _table("udp6")).ipv6 if datagrams else frozenset()
    return Listening(frozenset(("TCP", port) for port in ipv4), streams | others)


def diagnosed(family: int) -> frozenset[int]:
    """The TCP ports that are listened on but not on loopback, as the diagnosis socket says. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG) as asking:
        asking.settimeout(1)
        body = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, 1 << int(_LISTENS, 16), bytes(48))
        asking.send(_HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _DUMP, 1, 0) + body)
        ports: set[int] = set()
        while True:
            data, at = asking.recv(_ANSWER), 0
            while at < len(data):
                length, kind, _, _, _ = _HEADER.unpack_from(data, at)
                if kind == _ERROR:
                    (number,) = struct.unpack_from("=i", data, at + _HEADER.size)
                    raise OSError(-number, "the kernel does not tell who listens")
                if kind == _DONE:
                    return frozenset(ports)
                ports |= _outward(family, data, at + _HEADER.size)
                at += (length + 3) & ~3


def _outward(family: int, data: bytes, at: int) -> set[int]:
    """The port of one listener, unless it is on loopback. `struct inet_diag_msg`: family, state, ..., port, address."""
    (port,) = struct.unpack_from("!H", data, at + 4)
    size = 4 if family == socket.AF_INET else 16
    address = ip_address(data[at + 8 : at + 8 + size])
    mapped = getattr(address, "ipv4_mapped", None) or address
    return set() if str(mapped) in ("127.0.0.1", "::1") else {port}


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


_SOCK_DIAG, _BY_FAMILY, _DUMP, _ERROR, _DONE = 4, 20, 0x301, 2, 3
_HEADER, _REQUEST, _ANSWER = struct.Struct("=IHHII"), struct.Struct("=BBBBI48s"), 64 * 1024
_LISTENS = "0A"
_UNCONNECTED = "07"
_LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
"""127.0.0.1 and ::1 as the tables show them on a little-endian machine."""
