"""Asks the admin ports of the mesh's proxies. Never sets anything."""

import asyncio
import contextlib
from collections.abc import Mapping

from weft.identity import standing
from weft.identity.standing import Standing
from weft.lib.tasks import start
from weft.local.rules import ADMIN_PORT


class Line:
    """A connection to one proxy's admin port, kept between questions: making one costs more than asking."""

    def __init__(self, address: str, port: int = ADMIN_PORT) -> None:
        self.address = address
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> str:
        """The body of a 200; a line that has gone dead is made anew. The caller limits the time.

        Raises OSError, ValueError or asyncio.IncompleteReadError.
        """
        kept = self._streams is not None
        try:
            return await self._get(path)
        except (OSError, asyncio.IncompleteReadError):
            if not kept:
                raise
            return await self._get(path)

    def close(self) -> None:
        """Let go of the connection; the next question makes another one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _get(self, path: str) -> str:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.address, self._port, limit=_BODY_LIMIT)
        reader, writer = self._streams
        whole = False
        try:
            host = f"[{self.address}]" if ":" in self.address else self.address
            writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}:{self._port}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            if " 200" not in head.split("\r\n", 1)[0]:
                raise ValueError(f"{path} was refused")
            body = await (_chunks(reader) if "transfer-encoding: chunked" in head else _counted(reader, head))
            whole = True
        finally:
            if not whole:
                self.close()
        return body.decode(errors="replace")


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
                with contextlib.closing(Line(address, port)) as line:
                    found[key] = standing.read(await line.get("/identity.json"))

    async with asyncio.TaskGroup() as group:
        for key, (address, port) in places.items():
            start(group, f"identity of {key}", ask(key, address, port))
    return found


async def _counted(reader: asyncio.StreamReader, head: str) -> bytes:
    length = int(head.partition("\r\ncontent-length:")[2].split("\r\n", 1)[0])
    if length > _BODY_LIMIT:
        raise ValueError("the answer is too large")
    return await reader.readexactly(length)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        if len(body) + size > _BODY_LIMIT:
            raise ValueError("the answer is too large")
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


_AT_A_TIME = 16
_SECONDS = 5.0
_BODY_LIMIT = 8 * 1024 * 1024
