"""What the processes of a replica print: one bounded log file, plus the one before it. Follows for `weft logs -f`."""

import asyncio
import errno
import os
from collections.abc import AsyncGenerator
from pathlib import Path


class Log:
    """An append-only file that rotates at `LIMIT` bytes. `pipe` is where processes write; `run` is the only reader."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)
        self.began = self._file.tell()
        self._lost = 0
        """Bytes for which there was no room."""
        self._grown = asyncio.Event()
        self._reader, self.pipe = os.pipe2(os.O_CLOEXEC)

    async def run(self) -> None:
        """Copy what is printed into the file until cancelled; closes both."""
        reader = asyncio.StreamReader(limit=_CHUNK)
        incoming = os.fdopen(self._reader, "rb", buffering=0)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), incoming)
        try:
            while chunk := await reader.read(_CHUNK):
                self._write(chunk)
        finally:
            transport.close()
            os.close(self.pipe)
            self._file.close()

    def note(self, words: str) -> None:
        """A line of the supervisor's own."""
        self._write(f"weft: {words}\n".encode())

    def _write(self, data: bytes) -> None:
        """Without room on the disk what is printed is lost, and processes go on: they must not wait for a log."""
        try:
            if self._file.tell() + len(data) > LIMIT:
                self.path.replace(self._before)
                full, self._file = self._file, self.path.open("ab", buffering=0)
                full.close()
            if self._lost and self._file.write(f"weft: {self._lost} bytes are lost: no room\n".encode()):
                self._lost = 0
            written = self._file.write(data)
            self._lost += len(data) - written
        except OSError as problem:
            if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._lost += len(data)
        self._grown.set()
        self._grown = asyncio.Event()

    @property
    def _before(self) -> Path:
        return self.path.with_suffix(".1" + self.path.suffix)

    def tail(self, lines: int | None) -> bytes:
        """What is kept, or its last `lines` lines."""
        older = self._before.read_bytes() if self._before.exists() else b""
        text = older + self.path.read_bytes()
        if lines is None:
            return text
        return b"".join(text.splitlines(keepends=True)[-lines:]) if lines else b""

    @property
    def end(self) -> int:
        """Where the file ends now."""
        return self.path.stat().st_size

    async def follow(self, position: int) -> AsyncGenerator[bytes, None]:
        """Everything from this place in the file on: an `end` of before, or `began`."""
        file = self.path.open("rb")
        file.seek(position)
        try:
            while True:
                grown = self._grown
                if data := file.read(_CHUNK):
                    yield data
                elif os.fstat(file.fileno()).st_ino != self.path.stat().st_ino:
                    file.close()
                    file = self.path.open("rb")
                else:
                    await grown.wait()
        finally:
            file.close()


LIMIT = 8 * 1024 * 1024
"""Bytes in one file; twice as much is kept."""
_CHUNK = 64 * 1024
