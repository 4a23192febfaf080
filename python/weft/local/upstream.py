"""Asks the host's name servers what the mesh does not know, for replicas that reach the host's network.

Passes questions and answers on as they are; a socket of the host for each question.
"""

import asyncio
import socket
import struct

from weft.local.outside import Outside


class Upstream:
    """One per mesh."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._room = asyncio.Semaphore(_AT_A_TIME)

    async def ask(self, query: bytes, protocol: str) -> bytes | None:
        """The first answer, by the protocol (`UDP`, `TCP`) that the question came by; None when none comes."""
        if self._room.locked():
            return None
        async with self._room:
            for number in range(_NAME_SERVERS):
                asking = await self._outside.resolver(number, protocol)
                if asking is None:
                    return None
                with asking:
                    try:
                        async with asyncio.timeout(_PATIENCE):
                            return await (_by_udp(asking, query) if protocol == "UDP" else _by_tcp(asking, query))
                    except (OSError, EOFError):  # no answer in time is one of the first
                        continue
        return None


async def _by_udp(asking: socket.socket, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(asking, query)
    while True:
        reply = await loop.sock_recv(asking, _LARGEST)
        if reply[:2] == query[:2]:
            return reply


async def _by_tcp(asking: socket.socket, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(sock=asking)
    try:
        writer.write(struct.pack("!H", len(query)) + query)
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        return await reader.readexactly(length)
    finally:
        writer.close()


_NAME_SERVERS = 3
"""As many as resolv.conf may list."""
_PATIENCE = 1.5
"""Seconds for each: clients of the mesh ask again after two."""
_AT_A_TIME = 64
_LARGEST = 65535
