"""Runs a mesh for the demo by the commands that a user would type, and reads what they print.

Starts `weft up` and ends it again, also when the demo itself is killed. Decides nothing about what it reads.
"""

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

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
        self._folder = Path(tempfile.mkdtemp(prefix="weft-demo-"))
        self._output = self._folder / "output"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        file = self._folder / "loom.yaml"
        file.write_text(self._text)
        # A session of its own: Ctrl-C is the demo's to handle, in the order that it wants.
        bound = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [*bound, *_weft("up", str(file), "--mesh", self.name)],
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
        """What replica 0 of a workload has printed; empty while there is none."""
        return self._ask("logs", workload) or ""

    def json(self, *command: str) -> Any:
        """What a weft command says with `-o json`; None while it cannot say it yet."""
        said = self._ask(*command, "-o", "json")
        return json.loads(said) if said else None

    def wait(self, seconds: float) -> None:
        """Lets the mesh run on; raises DemoFailed when it ends meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._still_runs()
            time.sleep(min(left, POLL_SECONDS))

    def _ask(self, *command: str) -> str | None:
        self._still_runs()
        asked = subprocess.run(
            _weft(*command, "--mesh", self.name), capture_output=True, text=True, timeout=30, check=False
        )
        return asked.stdout if asked.returncode == 0 else None

    def _still_runs(self) -> None:
        if self._process is None or self._process.poll() is not None:
            printed = self._output.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
            raise DemoFailed("\n".join(["`weft up` has ended:", *(f"  {line}" for line in printed)]))


def _weft(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "weft", *words]
