"""What the kernel says of one directory: the names of files in it that were written, renamed or removed (inotify).

Waits without polling and costs nothing while nothing happens. Says when it cannot know: then everything must be looked
at. Knows nothing of documents.
"""

import asyncio
import ctypes
import os
import struct
from pathlib import Path
from types import TracebackType
from typing import Self


class Notices:
    """Used in a `with`. Where the kernel grants no watch there is never a notice, and `problem` says why."""

    def __init__(self, directory: Path) -> None:
        self.problem = ""
        self._directory = directory
        self._names: set[str] = set()
        self._missed = False
        self._something = asyncio.Event()
        self._watched = False
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            self.problem = os.strerror(ctypes.get_errno())
        else:
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)
            self.renew()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop listening."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)

    def renew(self) -> None:
        """Watch the directory again where the watch has ended, as it does when the directory is removed or renamed."""
        if self._descriptor < 0 or self._watched:
            return
        added = _libc.inotify_add_watch(self._descriptor, os.fsencode(self._directory), _MASK)
        self._watched = added >= 0
        self.problem = "" if self._watched else os.strerror(ctypes.get_errno())
        self._missed = True
        self._something.set()

    async def wait(self, seconds: float) -> set[str] | None:
        """Return the names of which something was said within that time, or None when it may have missed some."""
        try:
            async with asyncio.timeout(seconds):
                await self._something.wait()
                await self._settled()
        except TimeoutError:
            pass
        names, missed = self._names, self._missed
        self._names, self._missed = set(), False
        self._something.clear()
        return None if missed else names

    async def _settled(self) -> None:
        """Return when nothing more was said for a moment: who writes several files does it at once."""
        for _ in range(MOST_STEPS):
            known = len(self._names)
            await asyncio.sleep(STEP_SECONDS)
            if len(self._names) == known:
                return

    def _read(self) -> None:
        try:
            said = os.read(self._descriptor, _BUFFER)
        except BlockingIOError:
            return
        at = 0
        while at < len(said):
            _, mask, _, length = _HEAD.unpack_from(said, at)
            at += _HEAD.size
            name = os.fsdecode(said[at : at + length].rstrip(b"\0"))
            at += length
            if mask & (_IGNORED | _MOVE_SELF | _OVERFLOW):
                self._watched = self._watched and not mask & (_IGNORED | _MOVE_SELF)
                self._missed = True
            elif name:
                self._names.add(name)
        self._something.set()


_libc = ctypes.CDLL(None, use_errno=True)
_HEAD = struct.Struct("iIII")
_BUFFER = 64 * 1024
_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _DELETE = 0x8, 0x40, 0x80, 0x200
_DELETE_SELF, _MOVE_SELF, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x4000, 0x8000
# Not IN_CREATE or IN_MODIFY: a file is read when its writer has closed it, not while it is half written.
_MASK = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _DELETE | _DELETE_SELF | _MOVE_SELF
STEP_SECONDS = 0.005
MOST_STEPS = 20
