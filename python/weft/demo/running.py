"""Runs a mesh for the demo: starts `weft up` as a user would, and asks it what every other command asks.

Ends it again, also when the demo itself is killed. Decides nothing about what it reads.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from weft.lib.errors import WeftError
from weft.local import client
from weft.local.state import find

STOP_TIMEOUT_SECONDS = 20
POLL_SECONDS = 0.3
SHOWN_LINES = 15


class DemoFailed(Exception):
    """The demo cannot go on; the text is meant for the user."""


def free_address(preferred_port: int) -> str:
    """An address of this host at which nobody listens: the preferred port, or any other."""
    for port in (preferred_port, 0):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)) as found:
            host, number = found.getsockname()
            return f"{host}:{number}"
    raise DemoFailed("no port is free on 127.0.0.1")


class Mesh:
    """One `weft up` in the background, from entering the block to leaving it."""

    def __init__(self, name: str, file: str) -> None:
        self.name = name
        self._text = file
        # Beside the mesh's own files, and named as one that is being made: whatever looks for a mesh next removes it,
        # should this process be killed.
        self._folder = find(name).root.with_name(f".{name}-demo.{os.getpid()}")
        self._output = self._folder / "output"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self._folder / "loom.yaml"
        file.write_text(self._text)
        # A session of its own: Ctrl-C is the demo's to handle, in the order that it wants.
        bound = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [*bound, sys.executable, "-P", "-m", "weft", "up", str(file), "--mesh", self.name],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_SECONDS)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def log(self, workload: str) -> str:
        """What a workload has printed; empty while there is nothing."""
        return "\n".join(str(answer["line"]) for answer in self._ask({"do": "logs", "name": workload}))

    def rows(self, table: str, window: int, **more: str) -> list[dict[str, Any]]:
        """A table of what was measured in the last `window` seconds; empty while nothing was."""
        answers = self._ask({"do": table, "window": window, **more})
        return [row for answer in answers for row in answer["rows"]]

    def failed(self, why: str) -> DemoFailed:
        """The error to raise for `why`, with the last lines that `weft up` printed."""
        printed = self._output.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
        return DemoFailed("\n".join([f"{why}; `weft up` said:", *(f"  {line}" for line in printed)]))

    def wait(self, seconds: float) -> None:
        """Lets the mesh run on; raises DemoFailed when it ends meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._still_runs()
            time.sleep(min(left, POLL_SECONDS))

    def _ask(self, request: dict[str, object]) -> list[dict[str, Any]]:
        self._still_runs()
        try:
            with client.conversation(self.name, request) as answers:
                return list(answers)
        except WeftError:
            return []  # It is still starting, or ending: then _still_runs says so next time.

    def _still_runs(self) -> None:
        if self._process is None or self._process.poll() is not None:
            raise self.failed("the mesh has ended")
