"""Reads every proxy's metrics every two seconds into the ring that `weft stat` and `weft edges` ask."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from weft.lib.tasks import start
from weft.local.proxy_admin import Line
from weft.viz.ring import Ring
from weft.viz.samples import Sample, parse


class Sampler:
    """`addresses` gives the proxies of the moment: replica key -> address."""

    def __init__(self, addresses: Callable[[], Mapping[str, str]]) -> None:
        self._addresses = addresses
        self._room = asyncio.Semaphore(_AT_A_TIME)
        self._lines: dict[str, Line] = {}
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
        addresses = self._addresses()
        for key in [key for key, line in self._lines.items() if addresses.get(key) != line.address]:
            self._lines.pop(key).close()
        async with asyncio.TaskGroup() as group:
            for key, address in addresses.items():
                line = self._lines.setdefault(key, Line(address))
                start(group, f"metrics of {key}", self._read(key, line))

    async def _read(self, key: str, line: Line) -> None:
        async with self._room:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
                async with asyncio.timeout(PERIOD):
                    samples = parse(await line.get("/metrics"))
                self.ring.add(key, asyncio.get_running_loop().time(), samples)


__all__ = ["Sample", "Sampler"]
PERIOD = 2.0
_AT_A_TIME = 16
