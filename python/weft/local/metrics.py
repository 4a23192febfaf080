"""Reads every proxy's metrics every two seconds into the ring that `weft stat` and `weft edges` ask."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from weft.lib.tasks import start
from weft.local.rules import ADMIN_PORT
from weft.viz.ring import Ring
from weft.viz.samples import Sample, parse


class Sampler:
    """`addresses` gives the proxies of the moment: replica key -> address."""

    def __init__(self, addresses: Callable[[], Mapping[str, str]]) -> None:
        self._addresses = addresses
        self._room = asyncio.Semaphore(_AT_A_TIME)
        self.ring = Ring()

    async def run(self) -> None:
        """Sample until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            await self.sample()
            await asyncio.sleep(max(0.0, PERIOD - (clock() - began)))

    async def sample(self) -> None:
        """One reading of every proxy; a proxy that does not answer is left out of this one."""
        async with asyncio.TaskGroup() as group:
            for key, address in self._addresses().items():
                start(group, f"metrics of {key}", self._read(key, address))

    async def _read(self, key: str, address: str) -> None:
        async with self._room:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
                async with asyncio.timeout(PERIOD):
                    samples = parse(await _get(address))
                self.ring.add(key, asyncio.get_running_loop().time(), samples)


async def _get(address: str) -> str:
    reader, writer = await asyncio.open_connection(address, ADMIN_PORT, limit=_BODY_LIMIT)
    try:
        request = f"GET /metrics HTTP/1.1\r\nhost: {address}:{ADMIN_PORT}\r\nconnection: close\r\n\r\n"
        writer.write(request.encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        if " 200" not in head.split("\r\n", 1)[0]:
            raise ValueError("metrics were refused")
        if "transfer-encoding: chunked" in head:
            return (await _chunks(reader)).decode(errors="replace")
        body = await reader.read(_BODY_LIMIT)
        while more := await reader.read(_BODY_LIMIT):
            body += more
            if len(body) > _BODY_LIMIT:
                raise ValueError("metrics are too large")
        return body.decode(errors="replace")
    finally:
        writer.close()


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        if len(body) + size > _BODY_LIMIT:
            raise ValueError("metrics are too large")
        body += await reader.readexactly(size)
        await reader.readline()
    return body


__all__ = ["Sample", "Sampler"]
PERIOD = 2.0
_AT_A_TIME = 16
_BODY_LIMIT = 8 * 1024 * 1024
