"""The way out to the host's loopback: what replicas send to `host.weft.internal:PORT` arrives at 127.0.0.1:PORT.

One listener on the fabric takes every port; the host's part of `weft up` makes the other connection.
"""

import asyncio
import contextlib
import socket
import struct

from weft.lib.tasks import start
from weft.local.accepting import accept
from weft.local.addresses import HOST
from weft.local.children import Children
from weft.local.outside import Outside
from weft.local.programs import find_program
from weft.local.publish import copy


class Egress:
    """One per mesh."""

    def __init__(self, outside: Outside, children: Children) -> None:
        self._outside = outside
        self._children = children

    async def run(self) -> None:
        """Until cancelled. Raises OSError or RuntimeError when the way cannot be made."""
        with socket.create_server((HOST, _PORT), backlog=1024) as listener:
            listener.setblocking(False)
            code, printed = await self._children.run([find_program("nft") or "nft", "-f", "-"], text=_RULES)
            if code != 0:
                raise RuntimeError(f"nft refused the way to the host: {printed.strip()}")
            await accept(listener, _CONNECTIONS, "connection to the host", self._relay)

    async def _relay(self, inside: socket.socket) -> None:
        try:
            other = await self._outside.connect(_original_port(inside))
        except OSError:
            # A reset, as the refusal itself would have been.
            inside.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            inside.close()
            return
        ours, ours_out = await asyncio.open_connection(sock=inside)
        theirs, theirs_out = await asyncio.open_connection(sock=other)
        with contextlib.suppress(ExceptionGroup):  # either side broke off: both see their connection end
            try:
                async with asyncio.TaskGroup() as group:
                    start(group, "to the host", copy(ours, theirs_out))
                    start(group, "from the host", copy(theirs, ours_out))
            finally:
                theirs_out.close()
                ours_out.close()


def _original_port(connection: socket.socket) -> int:
    told = connection.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, 16)
    return int(struct.unpack_from("!H", told, 2)[0])


_PORT = 4199
_SO_ORIGINAL_DST = 80
_CONNECTIONS = 1024
_RULES = f"""\
table ip weft_egress {{
  chain prerouting {{
    type nat hook prerouting priority -100; policy accept;
    ip daddr {HOST} meta l4proto tcp dnat to {HOST}:{_PORT}
  }}
}}
"""
