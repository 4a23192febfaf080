"""One program that is kept running: started again after a growing pause, stopped with a term and then a kill."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

from weft.local.children import Child
from weft.local.output import Log


class Process:
    """`start` makes the child; `changed` is told whenever it starts or ends.

    With `retries` it is a job: it is started again when it fails, that many times, and not when it has ended well.
    """

    def __init__(
        self, name: str, start: Callable[[], Child], log: Log, changed: Callable[[], None], retries: int | None = None
    ) -> None:
        self.finished = False
        """A job has done its work."""
        self.failed = False
        """A job has not, and it is not tried again."""
        self.name = name
        self.log = log
        self.restarts = 0
        self.child: Child | None = None
        self.ended = ""
        """How it ended last, in words; empty before it ever did."""
        self._retries = retries
        self._start = start
        self._changed = changed

    @property
    def running(self) -> bool:
        """Whether the program runs now."""
        return self.child is not None and not self.child.exit.done()

    async def keep(self, outlive: Callable[[], Awaitable[None]] | None = None) -> None:
        """Run until cancelled; the program is then stopped, after `outlive`, before this returns."""
        pause = _FIRST_PAUSE
        clock = asyncio.get_running_loop().time
        try:
            while True:
                began = clock()
                try:
                    self.child = self._start()
                except OSError as problem:
                    self.ended = f"cannot start: {problem}"
                    self.log.note(f"{self.name} {self.ended}")
                else:
                    self._changed()
                    code = await asyncio.shield(self.child.exit)
                    self.ended = describe_exit(code)
                    self.log.note(f"{self.name} {self.ended}")
                    self.finished = self._retries is not None and code == 0
                    self.failed = self._retries is not None and code != 0 and self.restarts >= self._retries
                    self._changed()
                    if self.finished or self.failed:
                        return
                if clock() - began > _STEADY:
                    pause = _FIRST_PAUSE
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE)
                self.restarts += 1
        finally:
            if outlive is not None:
                await outlive()
            await self._stop()

    async def end(self, why: str) -> None:
        """End the program as it is, so that `keep` starts it again."""
        self.log.note(f"{self.name} is ended: {why}")
        await self._stop()

    async def _stop(self) -> None:
        child = self.child
        if child is None or child.exit.done():
            return
        child.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(child.exit), GRACE)
        except TimeoutError:
            child.signal(signal.SIGKILL)
            await child.exit


def describe_exit(code: int) -> str:
    """How a process ended, in words."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"exited with code {code}"


GRACE = 5.0
_FIRST_PAUSE = 0.2
_LAST_PAUSE = 10.0
_STEADY = 10.0
"""Seconds of running after which a new failure counts as the first."""
