"""The peers: how each is started, reached and found in /proc. What is asked of them is `measure`'s to say.

Every peer answers the same questions: `start` a fresh pair and say how long each side took from exec to ready, `url`
for the load generator, `network` to run it in, `pids` of the pair.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from bench import certificates, configurations, processes, waiting
from bench.configurations import Ports
from bench.mesh import GRPC_PATH, GRPC_PORT, HTTP1_PORT, Mesh
from weft.local.programs import find_program

Protocols = Literal["http1", "grpc"]
_ADMIN = 4191


class Peer(Protocol):
    """One row of the table."""

    name: str

    @property
    def network(self) -> int:
        """Where the load generator runs."""

    def url(self, protocol: Protocols) -> str:
        """What it asks."""

    def pids(self) -> list[int]:
        """The outbound and the inbound proxy; none for a direct connection."""

    def restart(self) -> None:
        """Replace the pair by a fresh one, which is ready when this returns."""

    def ready_ms(self) -> list[float]:
        """Start proxies that are not used for anything else; from exec to ready, one figure each."""

    def stop(self) -> None:
        """End what the bench started for it."""


@dataclass(slots=True)
class Direct:
    """No proxy: what the generator, the backend and the network cost by themselves."""

    mesh: Mesh
    name: str = "direct"

    @property
    def network(self) -> int:
        return self.mesh.peer_client_network

    def url(self, protocol: Protocols) -> str:
        return _url(self.mesh.peer_backend_address, GRPC_PORT if protocol == "grpc" else HTTP1_PORT)

    def pids(self) -> list[int]:
        return []

    def restart(self) -> None:
        pass

    def ready_ms(self) -> list[float]:
        return []

    def stop(self) -> None:
        pass


@dataclass(slots=True)
class Weft:
    """The proxies of the running mesh; its supervisor starts them."""

    mesh: Mesh
    name: str = "weft"
    _pids: list[int] = field(default_factory=list)

    @property
    def network(self) -> int:
        return self.mesh.client_network

    def url(self, protocol: Protocols) -> str:
        return _url(self.mesh.service_address, GRPC_PORT if protocol == "grpc" else HTTP1_PORT)

    def pids(self) -> list[int]:
        if not self._pids:
            self._find([])
        return self._pids

    def restart(self) -> None:
        before = self.pids()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        self._find(before)

    def _find(self, before: Sequence[int]) -> None:
        sides = (("client", self.mesh.client_network), ("backend", self.mesh.backend_network))
        self._pids = []
        for workload, network in sides:

            def fresh(workload: str = workload) -> bool:
                return self.mesh.proxy(workload) not in (0, *before)

            def ready(network: int = network) -> bool:
                return waiting.answers(network, "127.0.0.1", _ADMIN, "/ready")

            waiting.until(fresh, f"the proxy of {workload}")
            waiting.until(ready, f"the proxy of {workload} being ready")
            self._pids.append(self.mesh.proxy(workload))
            processes.pin(self._pids[-1], processes.PROXY_CORE)

    def ready_ms(self) -> list[float]:
        """One more proxy beside the client's, with its settings but ports of its own: outbound and inbound are one."""
        pid = self.pids()[0]
        program = str(Path(f"/proc/{pid}/exe").readlink())
        variables = processes.environment(pid) | {
            "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS": "127.0.0.1:5140",
            "LINKERD2_PROXY_INBOUND_LISTEN_ADDR": "127.0.0.1:5143",
            "LINKERD2_PROXY_CONTROL_LISTEN_ADDR": "127.0.0.1:5190",
            "LINKERD2_PROXY_ADMIN_LISTEN_ADDR": "127.0.0.1:5191",
        }
        with (self.mesh.directory / "weft.log").open("ab") as log:
            began = time.perf_counter()
            process = processes.spawn([program], self.network, processes.PROXY_CORE, log, variables)
            try:
                waiting.until(
                    lambda: waiting.answers(self.network, "127.0.0.1", 5191, "/ready"), "a fresh proxy", pause=0.001
                )
                return [waiting.milliseconds(began)]
            finally:
                processes.stop(process)

    def stop(self) -> None:
        pass


@dataclass(slots=True)
class Pair:
    """Another proxy, twice: in the unmeshed client's namespace and in the unmeshed backend's."""

    name: str
    mesh: Mesh
    ports: Ports
    outbound: list[str]
    inbound: list[str]
    redirected: Ports
    """The backend's ports that lead to this peer; only the first two are used."""
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def network(self) -> int:
        return self.mesh.peer_client_network

    def url(self, protocol: Protocols) -> str:
        port = self.redirected.grpc if protocol == "grpc" else self.redirected.http1
        return _url(self.mesh.peer_backend_address, port)

    def pids(self) -> list[int]:
        if not self._running:
            self.restart()
        return [process.pid for process in self._running]

    def restart(self) -> None:
        self.stop()
        self.ready_ms_of_pair()

    def ready_ms(self) -> list[float]:
        self.stop()
        return self.ready_ms_of_pair()

    def ready_ms_of_pair(self) -> list[float]:
        """Start both sides, inbound first; ready is when the last listener accepts."""
        return [
            self._start(self.inbound, self.mesh.peer_backend_network, (self.ports.mesh_http1, self.ports.mesh_grpc)),
            self._start(self.outbound, self.mesh.peer_client_network, (self.ports.http1, self.ports.grpc)),
        ]

    def _start(self, command: list[str], network: int, ports: Sequence[int]) -> float:
        with (self.mesh.directory / f"{self.name}.log").open("ab") as log:
            began = time.perf_counter()
            process = processes.spawn(command, network, processes.PROXY_CORE, log)
        if network == self.mesh.peer_client_network:
            self._running.insert(0, process)
        else:
            self._running.append(process)

        def ready() -> bool:
            if process.poll() is not None:
                said = (self.mesh.directory / f"{self.name}.log").read_text(errors="replace")
                raise RuntimeError(f"{self.name} ended: {said.strip()[-600:]}")
            return all(waiting.listening(network, "127.0.0.1", port) for port in ports)

        waiting.until(ready, self.name, pause=0.001)
        return waiting.milliseconds(began)

    def stop(self) -> None:
        for process in self._running:
            processes.stop(process)
        self._running.clear()


def available(mesh: Mesh, directory: Path) -> list[Peer]:
    """Every peer that this machine has; a line for each that it has not."""
    certificates.make(directory)
    peers: list[Peer] = [Direct(mesh), Weft(mesh)]
    redirects: dict[tuple[str, int], int] = {}
    for number, name in enumerate(("haproxy", "envoy")):
        found = program(name)
        if found is None:
            sys.stderr.write(f"bench: {name} is left out: it is not installed\n")
            continue
        base = 9000 + 100 * number
        ports = Ports(base + 1, base + 2, base + 43, base + 44)
        redirected = Ports(18080 + number, 18090 + number, 0, 0)
        redirects[(mesh.peer_backend_address, redirected.http1)] = ports.http1
        redirects[(mesh.peer_backend_address, redirected.grpc)] = ports.grpc
        outbound, inbound = _commands(name, found, ports, mesh, directory)
        peers.append(Pair(name, mesh, ports, outbound, inbound, redirected))
    if redirects:
        mesh.redirect(redirects)
    return peers


def _commands(name: str, path: str, ports: Ports, mesh: Mesh, directory: Path) -> tuple[list[str], list[str]]:
    if name == "haproxy":
        texts = (
            configurations.haproxy_outbound(ports, mesh.peer_backend_address, directory),
            configurations.haproxy_inbound(ports, HTTP1_PORT, GRPC_PORT, directory),
        )
        files = (directory / "haproxy-outbound.cfg", directory / "haproxy-inbound.cfg")
        words = [path, "-db", "-q", "-f"]
        more: list[str] = []
    else:
        texts = (
            json.dumps(configurations.envoy_outbound(ports, mesh.peer_backend_address, directory)),
            json.dumps(configurations.envoy_inbound(ports, HTTP1_PORT, GRPC_PORT, directory)),
        )
        files = (directory / "envoy-outbound.json", directory / "envoy-inbound.json")
        words = [path, "-c"]
        more = ["--concurrency", "1", "-l", "error", "--disable-hot-restart"]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    return [*words, str(files[0]), *more], [*words, str(files[1]), *more]


def program(name: str) -> str | None:
    """The path of a peer's program. Envoy's is where `scripts/bench-peers` put it, which WEFT_BENCH_ENVOY names."""
    named = os.environ.get(f"WEFT_BENCH_{name.upper()}", "")
    if named and os.access(named, os.X_OK):
        return named
    return find_program(name)


def _url(address: str, port: int) -> str:
    return f"http://{address}:{port}{GRPC_PATH}"
