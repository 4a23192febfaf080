"""Answers DNS queries over UDP and TCP: from the zone then in force, which decides, or as others answer."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.rcode

from weft.lib.tasks import start
from weft.local.zone import Zone


class Responder(asyncio.DatagramProtocol):
    """Serves `current()`, which is asked anew for each query.

    Where `may_ask(address, name)` lets a replica know a name that is not the mesh's, `elsewhere(query, protocol)` does.
    """

    def __init__(
        self,
        current: Callable[[], Zone],
        may_ask: Callable[[str, str], bool],
        elsewhere: Callable[[bytes, str], Awaitable[bytes | None]],
    ) -> None:
        self._current = current
        self._may_ask = may_ask
        self._elsewhere = elsewhere
        self._group: asyncio.TaskGroup
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None

    async def listen(self, group: asyncio.TaskGroup, address: str, port: int = 53) -> None:
        """Start; raises OSError when the address is taken."""
        loop = asyncio.get_running_loop()
        self._group = group
        await loop.create_datagram_endpoint(lambda: self, local_addr=(address, port))
        self._server = await asyncio.start_server(self._conversation, address, port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the UDP socket that replies go out by."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one query that came by UDP."""
        query = _read(data)
        if query is None:
            return
        if self._is_for_others(query, addr[0]):
            start(self._group, "name asked elsewhere", self._answer_later(query, data, addr))
        else:
            self._send(_wire(self._current().answer(query), query, _UDP_LIMIT), addr)

    async def _answer_later(self, query: dns.message.Message, data: bytes, addr: tuple[str, int]) -> None:
        self._send(await self._elsewhere(data, "UDP") or _failure(query), addr)

    def _send(self, reply: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None:
            self._transport.sendto(reply, addr)

    async def _conversation(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("peername")[0]
        try:
            async with asyncio.timeout(_TCP_LIFETIME):
                while True:
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    data = await reader.readexactly(length)
                    query = _read(data)
                    if query is None:
                        return
                    if self._is_for_others(query, address):
                        reply = await self._elsewhere(data, "TCP") or _failure(query)
                    else:
                        reply = _wire(self._current().answer(query), query, 65535)
                    writer.write(struct.pack("!H", len(reply)) + reply)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            return
        finally:
            writer.close()

    def _is_for_others(self, query: dns.message.Message, address: str) -> bool:
        name = query.question[0].name.to_text(omit_final_dot=True).lower() if query.question else ""
        return self._current().is_foreign(name) and self._may_ask(address, name)


def _read(data: bytes) -> dns.message.Message | None:
    try:
        return dns.message.from_wire(data)
    except (dns.exception.DNSException, ValueError):
        return None


def _wire(reply: dns.message.Message, query: dns.message.Message, limit: int) -> bytes:
    try:
        return reply.to_wire(max_size=limit)
    except dns.exception.TooBig:
        short = dns.message.make_response(query)
        short.flags |= dns.flags.TC
        return short.to_wire()


def _failure(query: dns.message.Message) -> bytes:
    reply = dns.message.make_response(query)
    reply.set_rcode(dns.rcode.SERVFAIL)
    return reply.to_wire()


_UDP_LIMIT = 1232
_TCP_LIFETIME = 30.0
