"""The nftables rules of one replica, as text. Pure: `nft -f -` inside the replica's network namespace loads them whole.

A meshed replica's TCP is redirected to its proxy, except the proxy's own (told by socket mark), loopback, DNS and
skipped ports. An unmeshed replica gets what a cluster without a mesh gives: one random ready endpoint per connection.
Whatever is left of a Service's traffic is refused at once instead of timing out. IPv4 and IPv6 have a table each, with
the same rules.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from weft.local.addresses import GATEWAY, SERVICE_RANGE, SERVICE_RANGE_IPV6
from weft.model.family import Family, family

OUTBOUND_PORT = 4140
INBOUND_PORT = 4143
TAP_PORT = 4190
ADMIN_PORT = 4191
PROXY_MARK = 0x7E57
"""The socket mark of connections that a proxy makes; only a process with CAP_NET_ADMIN can set one."""


@dataclass(frozen=True, slots=True)
class Balanced:
    """One Service port and the ready endpoints behind it, for replicas without a proxy."""

    address: str
    port: int
    protocol: str
    endpoints: tuple[tuple[str, int], ...]


def meshed(skip_inbound: Sequence[str], skip_outbound: Sequence[str], balanced: Iterable[Balanced], dual: bool) -> str:
    """Rules of a replica with a proxy; of `balanced` it needs what a proxy does not carry: UDP and skipped ports."""
    skipped = [f"tcp dport {{ {', '.join(skip_outbound)} }} accept"] if skip_outbound else []
    direct = [entry for entry in balanced if entry.protocol != "TCP" or covers(skip_outbound, entry.port)]
    # Two rules, as nft refuses a set whose ranges overlap, and a skipped range may hold the proxy's own ports.
    prerouting = [
        'iifname "lo" accept',
        f"tcp dport {{ {INBOUND_PORT}, {TAP_PORT}, {ADMIN_PORT} }} accept",
        *([f"tcp dport {{ {', '.join(skip_inbound)} }} accept"] if skip_inbound else []),
        f"meta l4proto tcp redirect to :{INBOUND_PORT}",
    ]
    text = ""
    for which in _families(dual):
        output = [
            f"meta mark {PROXY_MARK} accept",
            'oifname "lo" accept',
            *([f"ip daddr {GATEWAY} tcp dport 53 accept"] if which is Family.IPV4 else []),
            *_balance(which, direct),
            *skipped,
            f"meta l4proto tcp redirect to :{OUTBOUND_PORT}",
        ]
        text += _table(which, {"output": output, "prerouting": prerouting})
    return text


def unmeshed(balanced: Iterable[Balanced], dual: bool) -> str:
    """Rules of a replica without a proxy."""
    entries = list(balanced)
    return "".join(_table(which, {"output": _balance(which, entries)}) for which in _families(dual))


def covers(ranges: Iterable[str], port: int) -> bool:
    """Whether a port is in a list of numbers and ranges such as `8000-8010`."""
    for entry in ranges:
        low, _, high = entry.partition("-")
        if int(low) <= port <= int(high or low):
            return True
    return False


def _families(dual: bool) -> tuple[Family, ...]:
    return (Family.IPV4, Family.IPV6) if dual else (Family.IPV4,)


def _balance(which: Family, balanced: Iterable[Balanced]) -> list[str]:
    rules = []
    for entry in balanced:
        if not entry.endpoints or family(entry.address) is not which:
            continue
        word = _WORD[which]
        match = f"{word} daddr {entry.address} {entry.protocol.lower()} dport {entry.port}"
        choices = ", ".join(f"{index} : {ip} . {port}" for index, (ip, port) in enumerate(entry.endpoints))
        rules.append(f"{match} dnat {word} to numgen random mod {len(entry.endpoints)} map {{ {choices} }}")
    return rules


def _table(which: Family, chains: dict[str, list[str]]) -> str:
    """One table, replaced as a whole in one transaction."""
    word, services = _WORD[which], _SERVICES[which]
    lines = [f"table {word} weft", f"delete table {word} weft", f"table {word} weft {{"]
    for name, rules in chains.items():
        lines += [f"  chain {name} {{", f"    type nat hook {name} priority -100; policy accept;"]
        lines += [f"    {rule}" for rule in rules]
        lines += ["  }"]
    lines += [
        "  chain refuse {",
        "    type filter hook output priority 0; policy accept;",
        f"    {word} daddr {services} meta l4proto tcp reject with tcp reset",
        f"    {word} daddr {services} reject",
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


_WORD = {Family.IPV4: "ip", Family.IPV6: "ip6"}
"""What nft calls the families."""
_SERVICES = {Family.IPV4: SERVICE_RANGE, Family.IPV6: SERVICE_RANGE_IPV6}
