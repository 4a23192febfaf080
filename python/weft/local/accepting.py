"""Takes connections and gives each a task of its own. What is said on them is not its business."""

import asyncio
import socket
from collections.abc import Callable, Coroutine

from weft.lib.tasks import start


async def accept(
    listener: socket.socket, most: int, name: str, serve: Callable[[socket.socket], Coroutine[object, object, None]]
) -> None:
    """Serve until cancelled, `most` connections at a time; further ones wait in the backlog.

    `listener` does not block. A connection belongs to the task that serves it, called `name`.
    """
    loop = asyncio.get_running_loop()
    room = asyncio.Semaphore(most)
    async with asyncio.TaskGroup() as group:
        while True:
            await room.acquire()
            connection, _ = await loop.sock_accept(listener)
            task = start(group, name, serve(connection))
            task.add_done_callback(lambda _: room.release())
