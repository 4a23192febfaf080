"""Waits until a descriptor can be read: a line, a process's end."""

import asyncio
import socket


async def until_readable(descriptor: int | socket.socket) -> None:
    """Return when there is something to read, or its end."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _mark, readable)
    try:
        await readable
    finally:
        loop.remove_reader(descriptor)


def _mark(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)
