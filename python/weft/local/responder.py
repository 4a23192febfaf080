"""Answers DNS queries over UDP and TCP from the zone then in force. Decides nothing: `zone` does."""

import asyncio
import struct
from collections.abc import Callable
from typing import cast

import dns.exception
import dns.flags
import dns.message

from weft.local.zone import Zone


class Responder(asyncio.DatagramProtocol):
    """Serves `current()`, which is asked anew for each query."""

    def __init__(self, current: Callable[[], Zone]) -> None:
        self._current = current
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None

    async def listen(self, address: str, port: int = 53) -> None:
        """Start; raises OSError when the address is taken."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=(address, port))
        self._server = await asyncio.start_server(self._conversation, address, port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._reply(data, _UDP_LIMIT)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, addr)

    async def _conversation(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TCP_LIFETIME):
                while True:
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    reply = self._reply(await reader.readexactly(length), 65535)
                    if reply is None:
                        return
                    writer.write(struct.pack("!H", len(reply)) + reply)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            return
        finally:
            writer.close()

    def _reply(self, data: bytes, limit: int) -> bytes | None:
        try:
            query = dns.message.from_wire(data)
        except (dns.exception.DNSException, ValueError):
            return None
        reply = self._current().answer(query)
        try:
            return reply.to_wire(max_size=limit)
        except dns.exception.TooBig:
            short = dns.message.make_response(query)
            short.flags |= dns.flags.TC
            return short.to_wire()


_UDP_LIMIT = 1232
_TCP_LIFETIME = 30.0
