"""The network of one mesh: a bridge in the supervisor's namespace and one veth pair per replica.

Acts only on namespaces that the mesh owns; the host's network is never touched. IPv4 only.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pyroute2 import IPRoute

from weft.local import namespaces
from weft.local.addresses import GATEWAY, REPLICA_PREFIX, SERVICE_RANGE


@dataclass(frozen=True, slots=True)
class Port:
    """A replica's place on the bridge; the namespace lives as long as the descriptor."""

    network: int
    link: str


async def raise_bridge() -> None:
    """Bring up loopback and the bridge in the present network namespace."""
    await asyncio.to_thread(_raise_bridge)


async def attach(number: int, address: str) -> Port:
    """A new network namespace with `address`, joined to the bridge; `number` is unique while it lasts."""
    return await asyncio.to_thread(_attach, f"r{number}", address)


async def detach(port: Port) -> None:
    """Take the link away; the namespace goes when `port.network` is closed and its processes are gone."""
    await asyncio.to_thread(_detach, port)


def _raise_bridge() -> None:
    with IPRoute() as routes:
        routes.link("set", index=_index(routes, "lo"), state="up")
        routes.link("add", ifname=_BRIDGE, kind="bridge")
        bridge = _index(routes, _BRIDGE)
        routes.addr("add", index=bridge, address=GATEWAY, prefixlen=REPLICA_PREFIX)
        routes.link("set", index=bridge, state="up")


def _attach(link: str, address: str) -> Port:
    network = namespaces.make_network()
    with IPRoute() as routes:
        routes.link("add", ifname=link, kind="veth", peer={"ifname": _INSIDE, "net_ns_fd": network})
        routes.link("set", index=_index(routes, link), state="up", master=_index(routes, _BRIDGE))
    with namespaces.inside(network), IPRoute() as routes:
        routes.link("set", index=_index(routes, "lo"), state="up")
        inside = _index(routes, _INSIDE)
        routes.addr("add", index=inside, address=address, prefixlen=REPLICA_PREFIX)
        routes.link("set", index=inside, state="up")
        routes.route("add", dst=SERVICE_RANGE, gateway=GATEWAY)
    return Port(network, link)


def _detach(port: Port) -> None:
    with IPRoute() as routes:
        found = routes.link_lookup(ifname=port.link)
        if found:
            routes.link("del", index=found[0])


def _index(routes: IPRoute, name: str) -> int:
    look_up: Callable[..., list[int]] = routes.link_lookup
    return look_up(ifname=name)[0]


_BRIDGE = "weft0"
_INSIDE = "eth0"
