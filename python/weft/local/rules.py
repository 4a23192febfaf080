"""The nftables rules of one replica, as text. Pure: `nft -f -` inside the replica's network namespace loads them whole.

A meshed replica's TCP is redirected to its proxy, except the proxy's own (told by socket mark), loopback, DNS and
skipped ports. An unmeshed replica gets what a cluster without a mesh gives: one random ready endpoint per connection.
Whatever is left of a Service's traffic is refused at once instead of timing out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from weft.local.addresses import GATEWAY, SERVICE_RANGE

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


def meshed(skip_inbound: Sequence[str], skip_outbound: Sequence[str], balanced: Iterable[Balanced]) -> str:
    """Rules of a replica with a proxy; of `balanced` it needs what a proxy does not carry: UDP and skipped ports."""
    skipped = [f"tcp dport {{ {', '.join(skip_outbound)} }} accept"] if skip_outbound else []
    direct = [entry for entry in balanced if entry.protocol != "TCP" or _covers(skip_outbound, entry.port)]
    output = [
        f"meta mark {PROXY_MARK} accept",
        'oifname "lo" accept',
        f"ip daddr {GATEWAY} tcp dport 53 accept",
        *_balance(direct),
        *skipped,
        f"meta l4proto tcp redirect to :{OUTBOUND_PORT}",
    ]
    # Two rules, as nft refuses a set whose ranges overlap, and a skipped range may hold the proxy's own ports.
    prerouting = [
        'iifname "lo" accept',
        f"tcp dport {{ {INBOUND_PORT}, {TAP_PORT}, {ADMIN_PORT} }} accept",
        *([f"tcp dport {{ {', '.join(skip_inbound)} }} accept"] if skip_inbound else []),
        f"meta l4proto tcp redirect to :{INBOUND_PORT}",
    ]
    return _table({"output": output, "prerouting": prerouting})


def unmeshed(balanced: Iterable[Balanced]) -> str:
    """Rules of a replica without a proxy."""
    return _table({"output": _balance(balanced)})


def _balance(balanced: Iterable[Balanced]) -> list[str]:
    rules = []
    for entry in balanced:
        if not entry.endpoints:
            continue
        match = f"ip daddr {entry.address} {entry.protocol.lower()} dport {entry.port}"
        choices = ", ".join(f"{index} : {ip} . {port}" for index, (ip, port) in enumerate(entry.endpoints))
        rules.append(f"{match} dnat ip to numgen random mod {len(entry.endpoints)} map {{ {choices} }}")
    return rules


def _covers(ranges: Iterable[str], port: int) -> bool:
    for entry in ranges:
        low, _, high = entry.partition("-")
        if int(low) <= port <= int(high or low):
            return True
    return False


def _table(chains: dict[str, list[str]]) -> str:
    """One table, replaced as a whole in one transaction."""
    lines = ["table ip weft", "delete table ip weft", "table ip weft {"]
    for name, rules in chains.items():
        lines += [f"  chain {name} {{", f"    type nat hook {name} priority -100; policy accept;"]
        lines += [f"    {rule}" for rule in rules]
        lines += ["  }"]
    lines += [
        "  chain refuse {",
        "    type filter hook output priority 0; policy accept;",
        f"    ip daddr {SERVICE_RANGE} meta l4proto tcp reject with tcp reset",
        f"    ip daddr {SERVICE_RANGE} reject",
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"
