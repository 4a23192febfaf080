"""The network of one mesh: a bridge in the supervisor's namespace and one veth pair per replica.

Acts only on namespaces that the mesh owns; the host's network is never touched. IPv4 always, IPv6 where the kernel
has it.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyroute2 import IPRoute, NetlinkError

from weft.local import namespaces
from weft.local.addresses import (
    GATEWAY,
    HOST,
    REPLICA_PREFIX,
    REPLICA_PREFIX_IPV6,
    SERVICE_RANGE,
    SERVICE_RANGE_IPV6,
    UPLINK,
    UPLINK_GATEWAY,
    ipv6,
)


@dataclass(frozen=True, slots=True)
class Port:
    """A replica's place on the bridge; the namespace lives as long as the descriptor."""

    network: int
    link: str


async def raise_bridge() -> bool:
    """Bring up loopback and the bridge in the present network namespace; say whether it has IPv6."""
    return await asyncio.to_thread(_raise_bridge)


async def attach(number: int, address: str, address6: str) -> Port:
    """A new network namespace with these addresses (`address6` may be empty), joined to the bridge.

    `number` is unique while it lasts.
    """
    return await asyncio.to_thread(_attach, f"r{number}", address, address6)


async def detach(port: Port) -> None:
    """Take the link away; the namespace goes when `port.network` is closed and its processes are gone."""
    await asyncio.to_thread(_detach, port)


async def raise_uplink(link: str) -> None:
    """Lead by `link`, which is there already, whatever is not of the mesh, also what replicas send."""
    await asyncio.to_thread(_raise_uplink, link)


async def open_way(port: Port) -> None:
    """Let this replica send to what is not of the mesh."""
    await asyncio.to_thread(_set_way, port, "add")


async def close_way(port: Port) -> None:
    """Let it do that no more; what is under way there ends."""
    await asyncio.to_thread(_set_way, port, "del")


def _raise_bridge() -> bool:
    with IPRoute() as routes:
        routes.link("set", index=_index(routes, "lo"), state="up")
        routes.link("add", ifname=_BRIDGE, kind="bridge", address=_BRIDGE_MAC)
        bridge = _index(routes, _BRIDGE)
        for address in (GATEWAY, HOST):
            routes.addr("add", index=bridge, address=address, prefixlen=REPLICA_PREFIX)
        try:
            _add_ipv6(routes, bridge, ipv6(GATEWAY))
            dual = True
        except NetlinkError:
            dual = False  # the kernel was started without IPv6, or new namespaces are made without it
        routes.link("set", index=bridge, state="up")
    _leave_frames_alone()
    return dual


def _leave_frames_alone() -> None:
    """Where the host has br_netfilter, let packets between replicas pass this network namespace's bridge as on others.

    Otherwise each goes through its chains and connection tracking on top of the two replicas' own.
    """
    for file in Path("/proc/sys/net/bridge").glob("bridge-nf-call-*"):  # of this network namespace alone
        with contextlib.suppress(PermissionError):  # then it costs what it costs
            file.write_text("0")


def _attach(link: str, address: str, address6: str) -> Port:
    network = namespaces.make_network()
    with IPRoute() as routes:
        routes.link("add", ifname=link, kind="veth", peer={"ifname": _INSIDE, "net_ns_fd": network})
        routes.link("set", index=_index(routes, link), state="up", master=_index(routes, _BRIDGE))
    with namespaces.inside(network), IPRoute() as routes:
        routes.link("set", index=_index(routes, "lo"), state="up")
        inside = _index(routes, _INSIDE)
        routes.addr("add", index=inside, address=address, prefixlen=REPLICA_PREFIX)
        if address6:
            _add_ipv6(routes, inside, address6)
        routes.link("set", index=inside, state="up")
        routes.route("add", dst=SERVICE_RANGE, gateway=GATEWAY)
        if address6:
            routes.route("add", dst=SERVICE_RANGE_IPV6, gateway=ipv6(GATEWAY))
    return Port(network, link)


def _raise_uplink(link: str) -> None:
    with IPRoute() as routes:
        index = _index(routes, link)
        routes.addr("add", index=index, address=UPLINK, prefixlen=30)
        routes.link("set", index=index, state="up")
        routes.route("add", dst="default", gateway=UPLINK_GATEWAY, oif=index)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")  # of this network namespace alone


def _set_way(port: Port, command: str) -> None:
    with namespaces.inside(port.network), IPRoute() as routes:
        routes.route(command, dst="default", gateway=GATEWAY)


def _add_ipv6(routes: IPRoute, index: int, address: str) -> None:
    """Give out an address that can be used at once: nobody else can have it, so nobody is asked for a second first."""
    routes.addr("add", index=index, address=address, prefixlen=REPLICA_PREFIX_IPV6, flags=_IFA_F_NODAD)


def _detach(port: Port) -> None:
    with IPRoute() as routes:
        found = routes.link_lookup(ifname=port.link)
        if found:
            routes.link("del", index=found[0])


def _index(routes: IPRoute, name: str) -> int:
    look_up: Callable[..., list[int]] = routes.link_lookup
    return look_up(ifname=name)[0]


_BRIDGE = "weft0"
_BRIDGE_MAC = "02:57:45:46:54:00"
"""Given, or the kernel would take the lowest of its ports' and another one when that replica goes: every replica's
neighbour table would then lead nowhere for seconds, and its names with it."""
_INSIDE = "eth0"
_IFA_F_NODAD = 0x02
