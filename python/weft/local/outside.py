"""Sockets of the host's network, asked of the part of `weft up` that stays there: one question at a time."""

import asyncio
import json
import socket


class Outside:
    """The mesh's end of the line to `host`."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._line.setblocking(False)
        self._one_at_a_time = asyncio.Lock()

    async def listen(self, host: str, port: int) -> socket.socket:
        """A listening socket. Raises OSError with the host's reason."""
        return await self._ask("listen", host, port)

    async def connect(self, port: int) -> socket.socket:
        """A connection to the host's loopback. Raises OSError with the host's reason."""
        return await self._ask("connect", "127.0.0.1", port)

    async def _ask(self, what: str, host: str, port: int) -> socket.socket:
        loop = asyncio.get_running_loop()
        async with self._one_at_a_time:
            await loop.sock_sendall(self._line, json.dumps([what, host, port]).encode())
            readable: asyncio.Future[None] = loop.create_future()
            loop.add_reader(self._line, readable.set_result, None)
            try:
                await asyncio.shield(readable)
            finally:
                loop.remove_reader(self._line)
            said, descriptors, _, _ = socket.recv_fds(self._line, 1024, 1)
        if not descriptors:
            raise OSError(f"cannot {what} {'on' if what == 'listen' else 'to'} {host}:{port}: {said.decode()}")
        found = socket.socket(fileno=descriptors[0])
        found.setblocking(False)
        return found
