"""The two processes of a measurement: the real `weft control-plane`, and the crowd that watches it."""

import os
import selectors
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from bench import processes, waiting
from bench.control_plane.crowd import HOST, RECORD
from weft.identity import authority, tokens
from weft.lib.clock import system


class ControlPlane:
    """`weft control-plane` over a directory of documents. Ports stay the same when it is started again."""

    def __init__(self, scratch: Path) -> None:
        self.objects = scratch / "objects"
        self.objects.mkdir()
        self._issuer, self._token_key = scratch / "issuer", scratch / "token.pub"
        self._log = scratch / "control-plane.log"
        authority.create(self._issuer, "cluster.local", system())
        self._token_key.write_bytes(tokens.create_key().public)
        self._identity, self.destination, self.policy, self._admin = _free_ports(4)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> float:
        """Start it; the seconds until it was ready."""
        before = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        waiting.until(self._ready, f"the control plane is ready (its words: {self._log})")
        return time.monotonic() - before

    def stop(self) -> None:
        """End it as an operator would."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def write(self, name: str, text: str) -> int:
        """Put a file in place by renaming; when that was, in nanoseconds."""
        fresh = self.objects / f".{name}.new"
        fresh.write_text(text)
        fresh.replace(self.objects / name)
        return time.monotonic_ns()

    def cpu_ms(self) -> float:
        """CPU time of all its threads so far."""
        return processes.cpu_us(self.pid) / 1000

    def rss_mb(self) -> float:
        """Resident memory in MB (10^6 bytes)."""
        return processes.rss_mb(self.pid)

    def _command(self) -> list[str]:
        return [
            *(sys.executable, "-P", "-m", "weft", "control-plane", "--listen", HOST),
            *("--objects", str(self.objects), "--issuer-dir", str(self._issuer), "--token-key", str(self._token_key)),
            *("--identity-port", str(self._identity), "--destination-port", str(self.destination)),
            *("--policy-port", str(self.policy), "--admin-port", str(self._admin)),
        ]

    def _ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the control plane ended:\n{self._log.read_text()}")
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self._admin}/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False


class Crowd:
    """The streams, in a process of their own: what they ask is in `bench.control_plane.streams`."""

    def __init__(self, streams: int, together: int, plane: ControlPlane) -> None:
        numbers = [str(each) for each in (streams, together, plane.destination, plane.policy)]
        command = [sys.executable, "-m", "bench.control_plane.crowd", *numbers]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=False
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._steering, self._records = self._process.stdin, self._process.stdout
        os.set_blocking(self._records.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._records, selectors.EVENT_READ)
        self._unread = b""

    def read(self, seconds: float) -> list[tuple[int, int]]:
        """The messages that came: stream and time; waits for the first of them, but no longer than `seconds`."""
        if not self._selector.select(seconds):
            return []
        self._unread += self._records.read() or b""
        whole = len(self._unread) - len(self._unread) % RECORD.size
        found = list(RECORD.iter_unpack(self._unread[:whole]))
        self._unread = self._unread[whole:]
        return found

    def say(self, line: str) -> None:
        """Steer it."""
        self._steering.write(f"{line}\n".encode())
        self._steering.flush()

    def stop(self) -> None:
        """End it."""
        self._steering.close()
        self._process.wait(10)


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in held]
    for each in held:
        each.close()
    return ports
