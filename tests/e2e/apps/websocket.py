"""A WebSocket server and client on the package `websockets`; has the conversations of websocket.js in the same words.

A server also runs as an ASGI application under uvicorn, which has no pings of the application's own.
"""

import asyncio
import json
import sys

import uvicorn
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve as listen

LIMIT = 64 << 20
CLOSED_BY_SERVER = (4002, "as asked: é")
closes = []


async def serve_websockets(port):
    async def converse(socket):
        try:
            async for message in socket:
                await answer(socket, message)
        except websockets.ConnectionClosedError:
            pass
        closes.append([socket.close_code, socket.close_reason])

    async def answer(socket, message):
        if message == "close me":
            await socket.close(*CLOSED_BY_SERVER)
        elif message == "drop me":
            socket.transport.abort()
        elif message == "closes":
            await socket.send(told())
        elif message == "ping me":
            await (await socket.ping("from the server"))
            await socket.send("pong from the server")
        else:
            await socket.send(message)

    async with listen(converse, "0.0.0.0", port, max_size=LIMIT, subprotocols=["chat"]) as server:
        await server.serve_forever()


async def application(scope, receive, send):
    """The same server in ASGI's words."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})
    while (event := await receive())["type"] == "websocket.receive":
        text, data = event.get("text"), event.get("bytes")
        if text == "close me":
            await send({"type": "websocket.close", "code": CLOSED_BY_SERVER[0], "reason": CLOSED_BY_SERVER[1]})
            return
        if text == "drop me":
            raise ConnectionAbortedError
        if text == "closes":
            text = told()
        await send(
            {"type": "websocket.send", "text": text} if text is not None else {"type": "websocket.send", "bytes": data}
        )
    closes.append([event["code"], event.get("reason")])


def told():
    """The closes since the last time they were asked for."""
    said = json.dumps(closes)
    closes.clear()
    return said


async def ask(url, deflate):
    options = {"subprotocols": ["chat"], "max_size": LIMIT, "compression": "deflate" if deflate else None}
    said = {}
    socket = await connect(url, **options)
    said["extensions"] = socket.response.headers.get("Sec-WebSocket-Extensions", "")
    said["protocol"] = socket.subprotocol

    async def answer(socket, message):
        await socket.send(message)
        return await socket.recv()

    said["text"] = await answer(socket, "grüße 🜁")
    said["empty"] = await answer(socket, "")
    every = bytes(range(256))
    said["binary"] = await answer(socket, every) == every
    large = every * ((8 << 20) // 256)
    said["large"] = await answer(socket, large) == large
    await (await socket.ping("from the client"))
    said["pong"] = "from the client"
    said["pinged"] = await answer(socket, "ping me")
    await socket.close(4001, "done: é")
    said["own"] = [socket.close_code, socket.close_reason]
    for request in ("close me", "drop me"):
        other = await connect(url, **options)
        await other.send(request)
        await other.wait_closed()
        said[request] = [other.close_code, other.close_reason]
    (await connect(url, **options)).transport.abort()
    observer = await connect(url, **options)
    said["seen"] = []
    for _ in range(500):
        said["seen"] += json.loads(await answer(observer, "closes"))
        codes = {code for code, _ in said["seen"]}
        if 4001 in codes and codes & {1005, 1006}:
            break
        await asyncio.sleep(0.01)
    await observer.close()
    print(json.dumps(said))


if __name__ == "__main__":
    what, where, *more = sys.argv[1:]
    if what == "uvicorn":
        uvicorn.run(application, host="0.0.0.0", port=int(where), ws="websockets-sansio", ws_max_size=LIMIT)
    elif what == "serve":
        asyncio.run(serve_websockets(int(where)))
    else:
        asyncio.run(ask(where, more == ["deflate"]))
