"""Sends each stream of the decision table on a connection of its own and prints, as JSON, what came back.

Arguments: the table, then HOST:PORT of each server. Reads as a strict client does and understands nothing but framing.
"""

import asyncio
import json
import sys
from pathlib import Path

# Long enough on a busy machine; only servers that say nothing at all are waited for so long.
PATIENCE, SHORT = 10.0, 1.0
# Below the number of requests broken off at once (256) at which a proxy ends the connection that they share.
AT_ONCE = 64


def stream(row):
    text = row["bytes"]
    return (text if isinstance(text, str) else "".join(part * times for part, times in text)).encode("latin-1")


class Broken(Exception):
    pass


async def answer(reader, method):
    """One final response: status, headers, body."""
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = head[:-4].split("\r\n")
        status = int(status_line.split(" ", 2)[1])
        headers = {}
        for line in lines:
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
        if status >= 200 or status == 101:
            break
    if method == "HEAD" or status in {101, 204, 304} or (method == "CONNECT" and status < 300):
        body = b""
    elif "transfer-encoding" in headers:
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
    elif "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = await reader.read()
    return {"status": status, "headers": headers, "body": body.decode("latin-1")}


async def converse(row, host, port, turn):
    """All that the server answers to one stream, and whether it closed the connection."""
    methods = [message["method"] for message in row["messages"]]
    wanted = len(methods) + (row["end"] != "end")
    answers = []
    async with turn:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(stream(row))
            sending = asyncio.create_task(writer.drain())
            while len(answers) < wanted:
                method = methods[len(answers)] if len(answers) < len(methods) else "GET"
                patience = SHORT if row["end"] == "more" and len(answers) >= len(methods) else PATIENCE
                try:
                    answers.append(await asyncio.wait_for(answer(reader, method), patience))
                except TimeoutError:
                    return {"answers": answers, "end": "silent"}
                except (OSError, asyncio.IncompleteReadError):
                    return {"answers": answers, "end": "closed"}
                except (ValueError, IndexError, asyncio.LimitOverrunError):
                    return {"answers": answers, "end": "not http"}
            return {"answers": answers, "end": "all"}
        finally:
            sending.cancel()
            writer.transport.abort()


async def main(rows, servers):
    turn = asyncio.Semaphore(AT_ONCE)

    async def all_of(server):
        host, port = server.rsplit(":", 1)
        return server, await asyncio.gather(*(converse(row, host, int(port), turn) for row in rows))

    print(json.dumps(dict(await asyncio.gather(*map(all_of, servers)))))


rows = [row for row in json.loads(Path(sys.argv[1]).read_text()) if row["kind"] == "request"]
asyncio.run(main(rows, sys.argv[2:]))
