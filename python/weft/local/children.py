"""Processes of the mesh, and the duty of PID 1: every child is reaped, also those that nobody here started.

Reaping is by `waitpid(-1)` in one place, so nothing else in the supervisor may wait for a process.
"""

import asyncio
import os
import signal
import subprocess
import tempfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from weft.local import namespaces


@dataclass(slots=True)
class Child:
    """A started process; `exit` completes with its exit code (negative: the signal that ended it)."""

    pid: int
    exit: asyncio.Future[int]

    def signal(self, number: int) -> None:
        """Send a signal; does nothing when the process is gone."""
        if not self.exit.done():
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return


@dataclass(slots=True)
class Children:
    """Starts and reaps. One per supervisor."""

    _waiting: dict[int, asyncio.Future[int]] = field(default_factory=dict)
    _early: OrderedDict[int, int] = field(default_factory=OrderedDict)

    def watch(self) -> None:
        """Begin to reap; call once, inside the event loop."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    def start(
        self,
        command: Sequence[str],
        *,
        network: int | None = None,
        environment: Mapping[str, str] | None = None,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[bytes] = subprocess.DEVNULL,
        working_directory: str | None = None,
    ) -> Child:
        """Start a process in a session of its own, in the network namespace `network`. Raises OSError."""

        def popen() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                command,
                env=environment,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                cwd=working_directory,
                start_new_session=True,
            )

        process = popen() if network is None else namespaces.call_inside(network, popen)
        process.returncode = 0  # the exit code is ours to collect; keeps Popen from waiting
        return Child(process.pid, self._exit_of(process.pid))

    async def run(self, command: Sequence[str], *, network: int | None = None, text: str = "") -> tuple[int, str]:
        """Run to the end with `text` on stdin: exit code and everything it printed (a small amount)."""
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as printed:
            given.write(text.encode())
            given.seek(0)
            child = self.start(command, network=network, stdin=given, stdout=printed, stderr=printed)
            code = await child.exit
            printed.seek(0)
            return code, printed.read().decode(errors="replace")

    def _exit_of(self, pid: int) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if pid in self._early:
            future.set_result(self._early.pop(pid))
        else:
            self._waiting[pid] = future
        return future

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            future = self._waiting.pop(pid, None)
            if future is None:
                self._early[pid] = code
                while len(self._early) > _EARLY_LIMIT:
                    self._early.popitem(last=False)
            elif not future.done():
                future.set_result(code)


_EARLY_LIMIT = 256
