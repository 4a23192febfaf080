"""Who listens where, from the kernel's tables."""

import socket
from pathlib import Path

from weft.local import listening
from weft.local.listening import Listening

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ANY6 = "0" * 32


def line(address: str, port: int, state: str) -> str:
    return f"   0: {address}:{port:04X} {'0' * len(address)}:0000 {state} 00000000:00000000 00:00000000 0 0 0 1\n"


def test_listening_sockets_are_told_by_family_and_protocol() -> None:
    """Requirement: connected sockets and those on loopback, which nobody else can reach, are left out."""
    tcp = HEAD + line("00000000", 80, "0A") + line("00000000", 81, "01") + line("0100007F", 82, "0A")
    tcp6 = HEAD + line(ANY6, 90, "0A") + line("0" * 24 + "01000000", 91, "0A")
    udp6 = HEAD + line(ANY6, 53, "07")
    assert listening.read(tcp, tcp6, udp6) == Listening(frozenset({("TCP", 80)}), frozenset({("TCP", 90), ("UDP", 53)}))
    assert listening.read("", "", "") == Listening()


def test_ipv6_is_taken_when_every_port_takes_it() -> None:
    """Requirement: one port on 0.0.0.0 that has no twin on `::` keeps the replica's IPv6 address from others."""
    one, two = ("TCP", 1), ("TCP", 2)
    assert Listening(ipv6=frozenset({one})).takes_ipv6
    assert Listening(frozenset({one}), frozenset({one, two})).takes_ipv6
    assert not Listening(frozenset({one, two}), frozenset({one})).takes_ipv6
    assert not Listening(frozenset({one})).takes_ipv6
    assert not Listening(ipv6=frozenset({("UDP", 1)})).takes_ipv6


def test_the_kernels_tables_are_read() -> None:
    """Requirement: what listens in the present network namespace is found there."""
    with socket.create_server(("0.0.0.0", 0)) as four, socket.create_server(("::", 0), family=socket.AF_INET6) as six:
        found = listening.here()
        assert ("TCP", four.getsockname()[1]) in found.ipv4
        assert ("TCP", six.getsockname()[1]) in found.ipv6


def test_the_kernel_says_the_same_by_either_way() -> None:
    """Requirement: the diagnosis socket and the tables agree on who listens where, and neither counts loopback."""
    with socket.create_server(("0.0.0.0", 0)) as outward, socket.create_server(("127.0.0.1", 0)) as inward:
        ports = [each.getsockname()[1] for each in (outward, inward)]
        table = listening.read(Path("/proc/net/tcp").read_text(), "", "").ipv4
        assert [port in listening.diagnosed(socket.AF_INET) for port in ports] == [True, False]
        assert [("TCP", port) in table for port in ports] == [True, False]
        assert [("TCP", port) in listening.here().ipv4 for port in ports] == [True, False]
    with socket.create_server(("::", 0), family=socket.AF_INET6) as outward:
        assert outward.getsockname()[1] in listening.diagnosed(socket.AF_INET6)
