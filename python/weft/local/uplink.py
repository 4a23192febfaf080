"""The way out to the host's network, for replicas with `egress: host`: keeps it up while anybody wants it.

The host lends the link (`lending`); here it gets its address, its routes and its rules. By IPv4 only. Who may use it
is decided by the routes of each replica (`fabric.open_way`), what names mean there by `upstream`.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import ExitStack

from weft.lib.errors import WeftError
from weft.local import fabric
from weft.local.addresses import MESH_RANGE
from weft.local.children import Children
from weft.local.lending import UPLINK_NAME
from weft.local.outside import Outside
from weft.local.programs import find_program
from weft.local.readable import until_readable


class Uplink:
    """One per mesh; does nothing until it is wanted."""

    def __init__(self, outside: Outside, children: Children, say: Callable[[str], None]) -> None:
        self._outside = outside
        self._children = children
        self._say = say
        self._wanted = asyncio.Event()

    def want(self) -> None:
        """Make sure that it comes to be. Raises WeftError when this machine cannot have it."""
        if not self._wanted.is_set():
            check()
            self._wanted.set()

    async def run(self) -> None:
        """Until cancelled."""
        await self._wanted.wait()
        pause = _FIRST_PAUSE
        said = ""
        while True:
            try:
                ended = await self._raise()
                pause, said = _FIRST_PAUSE, ""
                await until_readable(ended)
                os.close(ended)
                words = "pasta has ended"
            except (WeftError, OSError, RuntimeError) as problem:
                words = str(problem)
            if words != said:
                self._say(f"the way out to the host's network is closed: {words}; it is tried again")
            said = words
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE)

    async def _raise(self) -> int:
        with ExitStack() as opened:
            namespaces = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in ("net", "pid", "user")]
            for each in namespaces:
                opened.callback(os.close, each)
            ended = await self._outside.way_out(namespaces)
        try:
            await fabric.raise_uplink(UPLINK_NAME)
            code, printed = await self._children.run([find_program("nft") or "nft", "-f", "-"], text=_RULES)
            if code != 0:
                raise RuntimeError(f"nft refused its rules: {printed.strip()}")
        except BaseException:
            os.close(ended)
            raise
        return ended


def check() -> None:
    """Raise WeftError when this machine cannot have a way out."""
    if find_program("pasta") is None:
        raise WeftError(
            "the program `pasta` is missing, by which `egress: host` leads out", "install the package passt"
        )
    if find_program("nsenter") is None:
        raise WeftError("the program `nsenter` is missing", "install the package util-linux")
    try:
        os.close(os.open(TUN, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        hint = "load the kernel's module (modprobe tun); for a container: --device /dev/net/tun"
        raise WeftError(f"there is no {TUN}, by which `egress: host` leads out", hint) from None
    except OSError as problem:
        hint = f"as root: chmod a+rw {TUN} (it gives nobody rights: a tun device needs those of its network)"
        raise WeftError(f"{TUN} cannot be opened: {problem.strerror}", hint) from None


TUN = "/dev/net/tun"
_FIRST_PAUSE, _LAST_PAUSE = 0.5, 30.0
_RULES = f"""\
table ip weft_uplink
delete table ip weft_uplink
table ip weft_uplink {{
  chain forward {{
    type filter hook forward priority 0; policy accept;
    oifname "{UPLINK_NAME}" ip daddr {MESH_RANGE} reject with icmp type net-unreachable
  }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    oifname "{UPLINK_NAME}" masquerade
  }}
}}
"""
"""The host's side must see one address only: it answers the last that it has heard of."""
