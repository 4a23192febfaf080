"""An HTTP/1.1 server that misbehaves as its path says. Knows nothing of a mesh. The first argument is its port.

/seen                 what arrived, as JSON
/forge                an answer with headers that only a proxy may set
/stale/KEY            closes a connection that was used before, without a byte; answers on one that was not
/fail/KEY/N/STATUS    STATUS the first N times, then how often it was asked
/late/KEY             no answer the first time, then how often it was asked
/count/KEY            how often KEY was asked for before
/hang                 no answer at all
/part                 the head and a part of an answer, and no more
/large                a megabyte
/deaf                 nobody can connect from now on, but for the readiness port (the next one)
"""

import asyncio
import collections
import json
import sys

asked = collections.Counter()
FORGED = ("l5d-client-id", "l5d-orig-proto", "l5d-proxy-error", "l5d-proxy-connection", "weft-not-delivered")


async def read(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    fields = [line.split(":", 1) for line in head[1:] if line]
    headers = {name.strip().lower(): value.strip() for name, value in fields}
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return method, path, headers, len(body)


def answer(status, content, headers=()):
    body = json.dumps(content).encode()
    lines = [f"HTTP/1.1 {status} x", f"content-length: {len(body)}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def reply(parts, used, request):
    """The bytes to send, and whether the connection goes on; None: no answer ever."""
    kind, key = parts[0], parts[1] if len(parts) > 1 else ""
    seen = {"path": request[1], "method": request[0], "headers": request[2], "body": request[3]}
    if kind == "count":
        return answer(200, asked[key])
    asked[key] += 1
    seen["tries"] = asked[key]
    if kind == "forge":
        return answer(200, seen, [(name, "close" if "connection" in name else "forged") for name in FORGED])
    if kind == "stale" and used:
        return b""
    if kind == "fail" and asked[key] <= int(parts[2]):
        return answer(parts[3], seen)
    if kind == "hang" or (kind == "late" and asked[key] == 1):
        return None
    if kind == "part":
        return b"HTTP/1.1 200 x\r\ncontent-length: 1000\r\n\r\npart"
    if kind == "large":
        return b"HTTP/1.1 200 x\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 1_000_000
    if kind == "deaf":
        listeners[0].close()
        return answer(200, seen, [("connection", "close")])
    return answer(200, seen)


async def converse(reader, writer):
    used = False
    try:
        while True:
            request = await read(reader)
            said = await reply(request[1].strip("/").split("/"), used, request)
            used = True
            if said == b"":
                break
            if said is not None:
                writer.write(said)
                await writer.drain()
            if said is None or request[1] == "/part":
                await reader.read()
            if said is None or request[1] in ("/part", "/deaf"):
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    port = int(sys.argv[1])
    for each in (port, port + 1):
        listeners.append(await asyncio.start_server(converse, "0.0.0.0", each))
    await asyncio.Event().wait()


listeners = []
asyncio.run(main())
