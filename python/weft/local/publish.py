"""Ports of the host that lead to a workload: one listener each, one ready replica per connection, in turn."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence

from weft.lib.tasks import start
from weft.local.accepting import accept
from weft.local.outside import Outside

Targets = Callable[[str], Sequence[Sequence[str]]]
"""Workload key -> the addresses of each of its ready replicas, to be tried in this order."""


class Published:
    """The listeners of a mesh; sockets are made by the host's side of `weft up`, which owns the host's network."""

    def __init__(self, outside: Outside, targets: Targets) -> None:
        self._outside = outside
        self._targets = targets
        self._turn = 0
        self._open: dict[tuple[str, int], asyncio.Task[None]] = {}

    async def open(self, group: asyncio.TaskGroup, listen: tuple[str, int], workload: str, port: int) -> None:
        """Begin to listen. Raises OSError with the host's reason."""
        listener = await self._outside.listen(*listen)
        name = f"publish {listen[0]}:{listen[1]}"
        self._open[listen] = start(group, name, self._accept(listener, workload, port))

    def close(self, listen: tuple[str, int]) -> None:
        """Stop listening; connections that are open end too."""
        task = self._open.pop(listen, None)
        if task is not None:
            task.cancel()

    async def _accept(self, listener: socket.socket, workload: str, port: int) -> None:
        with listener:
            name = f"published connection to {workload}"
            await accept(listener, _CONNECTIONS, name, lambda connection: self._relay(connection, workload, port))

    async def _relay(self, connection: socket.socket, workload: str, port: int) -> None:
        ours, ours_out = await asyncio.open_connection(sock=connection)
        try:
            replicas = self._targets(workload)
            if not replicas:
                return
            self._turn += 1
            theirs, theirs_out = await _connect(replicas[self._turn % len(replicas)], port)
            try:
                async with asyncio.TaskGroup() as group:
                    start(group, "published request", copy(ours, theirs_out))
                    start(group, "published response", copy(theirs, ours_out))
            finally:
                theirs_out.close()
        except* OSError:
            pass  # the client sees its connection end, as it would without a relay
        finally:
            ours_out.close()


async def _connect(addresses: Sequence[str], port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    *others, last = addresses
    for address in others:
        with contextlib.suppress(ConnectionRefusedError):
            return await asyncio.open_connection(address, port)
    return await asyncio.open_connection(last, port)


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything that comes, then its end."""
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


_CONNECTIONS = 1024
"""Connections at a time through one published port; further ones wait in the backlog."""
_CHUNK = 64 * 1024
