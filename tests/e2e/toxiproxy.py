"""Toxiproxy beside a replica: breaks connections between two proxies, or between a proxy and its application.

It runs in the replica's network namespace and is told what to do over its HTTP port there.
"""

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from weft.local.rules import INBOUND_PORT
from weft.testing import Mesh, wait_until

API = "127.0.0.1:8474"
PEERS_PORT = 14143
"""Where connections from other proxies come to, when they are led through it."""
APPLICATION_PORT = 9000
ASK = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[2], timeout=10)
connection.request(sys.argv[1], sys.argv[3], sys.stdin.buffer.read() or None)
answer = connection.getresponse()
sys.exit(f"{answer.status}: {answer.read()}" if answer.status >= 300 else 0)
"""


def program() -> Path:
    """The program, which `make test` builds. Fails the test with the command that does."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weft" / "tools"
    found = sorted(cache.glob("toxiproxy-*/toxiproxy"))
    if not found:
        pytest.fail(f"Toxiproxy is missing: install Go and run `scripts/fault-tools {cache}`")
    return found[-1]


@dataclass
class Toxiproxy:
    """One that runs beside `replica`; ends with the block that it is entered by."""

    mesh: Mesh
    replica: str
    proxies: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What connections are led through, by name."""

    def __enter__(self) -> Self:
        host, _, port = API.partition(":")
        command = [str(program()), "-host", host, "-port", port]
        self.process = subprocess.Popen(
            [*self._inside(), *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._listens, "Toxiproxy listens")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def between_proxies(self) -> None:
        """Lead what other proxies send to this replica's through it."""
        address = self.mesh.replicas()[self.replica]["address"]
        self._add("peers", f"0.0.0.0:{PEERS_PORT}", f"{address}:{INBOUND_PORT}")
        # Before the mesh's own rules: the first chain that translates a connection is the last that sees it.
        rules = f"""
table ip faults {{
  chain prerouting {{
    type nat hook prerouting priority -110; policy accept;
    iifname != "lo" tcp dport {INBOUND_PORT} redirect to :{PEERS_PORT}
  }}
}}
"""
        subprocess.run([*self._inside(), "nft", "-f", "-"], input=rules, text=True, check=True)

    def before_application(self, port: int) -> None:
        """Stand at the application's port, in front of an application on loopback."""
        self._add("application", f"0.0.0.0:{port}", f"127.0.0.1:{APPLICATION_PORT}")

    def add(self, name: str, kind: str, *, upstream: bool = False, **attributes: int) -> None:
        """Spoil every connection from now on; `upstream`: on the way from the client."""
        stream = "upstream" if upstream else "downstream"
        toxic = {"name": "fault", "type": kind, "stream": stream, "toxicity": 1.0, "attributes": attributes}
        self._ask("POST", f"/proxies/{name}/toxics", toxic)

    def clear(self, name: str) -> None:
        """Let connections pass again. Connections that are open are closed, so that nothing of the fault is left."""
        # Taking away the toxic alone would first wait until what it holds back has been taken, 5 s for each piece.
        self._ask("DELETE", f"/proxies/{name}")
        self._ask("POST", "/proxies", self.proxies[name])

    def _add(self, name: str, listen: str, upstream: str) -> None:
        self.proxies[name] = {"name": name, "listen": listen, "upstream": upstream, "enabled": True}
        self._ask("POST", "/proxies", self.proxies[name])

    def _listens(self) -> bool:
        asked = subprocess.run([*self._inside(), "ss", "-Hltn", "sport", "=", ":8474"], capture_output=True, check=True)
        return bool(asked.stdout)

    def _ask(self, method: str, path: str, body: Any = None) -> None:
        said = json.dumps(body) if body is not None else ""
        command = [*self._inside(), "python3", "-c", ASK, method, API, path]
        subprocess.run(command, input=said, text=True, check=True)

    def _inside(self) -> list[str]:
        """A prefix that runs a command in the replica's network namespace, with the rights of the mesh's owner."""
        return self.mesh.inside(self.replica)
