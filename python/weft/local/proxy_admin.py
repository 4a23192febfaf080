"""Asks the admin ports of the mesh's proxies. Never sets anything."""

import asyncio
import contextlib
from collections.abc import Mapping

from weft.identity import standing
from weft.identity.standing import Standing
from weft.lib.tasks import start
from weft.local.rules import ADMIN_PORT


async def get(address: str, path: str, port: int = ADMIN_PORT) -> str:
    """The body of a 200. Raises OSError, ValueError or asyncio.IncompleteReadError; the caller limits the time."""
    reader, writer = await asyncio.open_connection(address, port, limit=_BODY_LIMIT)
    try:
        host = f"[{address}]" if ":" in address else address
        request = f"GET {path} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n\r\n"
        writer.write(request.encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        if " 200" not in head.split("\r\n", 1)[0]:
            raise ValueError(f"{path} was refused")
        if "transfer-encoding: chunked" in head:
            return (await _chunks(reader)).decode(errors="replace")
        body = await reader.read(_BODY_LIMIT)
        while more := await reader.read(_BODY_LIMIT):
            body += more
            if len(body) > _BODY_LIMIT:
                raise ValueError(f"{path} is too large")
        return body.decode(errors="replace")
    finally:
        writer.close()


async def standings(addresses: Mapping[str, str]) -> dict[str, Standing | None]:
    """What each proxy (key -> address) says of its identity; None where it does not say in time."""
    return await standings_at({key: (address, ADMIN_PORT) for key, address in addresses.items()})


async def standings_at(places: Mapping[str, tuple[str, int]]) -> dict[str, Standing | None]:
    """The same of proxies whose admin ports are their own (key -> address and port)."""
    found: dict[str, Standing | None] = dict.fromkeys(places)
    room = asyncio.Semaphore(_AT_A_TIME)

    async def ask(key: str, address: str, port: int) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            async with room, asyncio.timeout(_SECONDS):
                found[key] = standing.read(await get(address, "/identity.json", port))

    async with asyncio.TaskGroup() as group:
        for key, (address, port) in places.items():
            start(group, f"identity of {key}", ask(key, address, port))
    return found


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        if len(body) + size > _BODY_LIMIT:
            raise ValueError("the answer is too large")
        body += await reader.readexactly(size)
        await reader.readline()
    return body


_AT_A_TIME = 16
_SECONDS = 5.0
_BODY_LIMIT = 8 * 1024 * 1024
