"""Many WebSockets at once. `crowd.py serve PORT`, or `crowd.py open HOST PORT NUMBER`.

The client opens them all, prints a line, waits for a line on its standard input, and then has every one answer a
message.
"""

import asyncio
import json
import logging
import resource
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve as listen

AT_ONCE = 100
OPTIONS = {"compression": None, "ping_interval": None, "open_timeout": 60}


async def serve(port):
    async def converse(socket):
        async for message in socket:
            await socket.send(message)

    async with listen(converse, "0.0.0.0", port, **OPTIONS) as server:
        await server.serve_forever()


async def crowd(host, port, number):
    few = asyncio.Semaphore(AT_ONCE)
    failed = []

    async def enter():
        async with few:
            try:
                return await connect(f"ws://{host}:{port}/", **OPTIONS)
            except Exception as error:
                failed.append(repr(error))

    sockets = [socket for socket in await asyncio.gather(*(enter() for _ in range(number))) if socket]
    print(json.dumps({"open": len(sockets), "failed": failed[:5]}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)

    async def answered(place, socket):
        async with few:
            await socket.send(f"number {place}")
            return await asyncio.wait_for(socket.recv(), 60) == f"number {place}"

    right = await asyncio.gather(*(answered(*each) for each in enumerate(sockets)), return_exceptions=True)
    errors = [repr(each) for each in right if each is not True]
    print(json.dumps({"answered": right.count(True), "failed": errors[:5]}), flush=True)


if __name__ == "__main__":
    logging.disable()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    what, *more = sys.argv[1:]
    asyncio.run(serve(int(more[0])) if what == "serve" else crowd(more[0], int(more[1]), int(more[2])))
