"""The peers: how each is started, reached and found in /proc. What is asked of them is `measure`'s to say.

Every peer answers the same questions: `ready_ms` of fresh proxies, `url` for the load generator, `network` to run it
in, `pids` of the pair; and can be set up otherwise, `tune`.
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
from typing import Protocol

from bench import certificates, configurations, processes, waiting
from bench.backends import GRPC_PATH, PORTS
from bench.configurations import Spoken, Way
from bench.mesh import Mesh
from bench.scenario import DEFAULT, Route, Tuning
from weft.local.programs import find_program

_ADMIN = 4191
_SPOKEN: dict[Route, Spoken] = {"http1": "http1", "grpc": "http2", "stream": "http2", "tcp": "tcp", "hop": "http1"}


class Peer(Protocol):
    """One row of the table."""

    name: str

    @property
    def network(self) -> int:
        """Where the load generator runs."""

    def url(self, route: Route, path: str = "") -> str:
        """What it asks."""

    def pids(self) -> list[int]:
        """The outbound and the inbound proxy; none for a direct connection."""

    def restart(self) -> None:
        """Replace the pair by a fresh one, which is ready when this returns."""

    def tune(self, tuning: Tuning) -> None:
        """Set the pair up in this way, by a fresh one where it was not."""

    def destinations(self, number: int) -> list[tuple[str, int, str]]:
        """So many destinations that its client may ask: address, port, name."""

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

    def url(self, route: Route, path: str = "") -> str:
        return _url(self.mesh.peer_backend_address, PORTS[route], path)

    def pids(self) -> list[int]:
        return []

    def restart(self) -> None:
        pass

    def tune(self, tuning: Tuning) -> None:
        pass

    def destinations(self, number: int) -> list[tuple[str, int, str]]:
        return []

    def ready_ms(self) -> list[float]:
        return []

    def stop(self) -> None:
        pass


@dataclass(slots=True)
class Weft:
    """The proxies of the running mesh; its supervisor starts them."""

    mesh: Mesh
    name: str = "weft"
    _tuning: Tuning = DEFAULT
    _pids: list[int] = field(default_factory=list)

    @property
    def network(self) -> int:
        return self.mesh.client_network

    def url(self, route: Route, path: str = "") -> str:
        address = self.mesh.peer_backend_address if route == "hop" else self.mesh.service("backend")
        return _url(address, PORTS[route], path)

    def pids(self) -> list[int]:
        if not self._pids:
            self._find([])
        return self._pids

    def restart(self) -> None:
        before = self.pids()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        self._find(before)

    def tune(self, tuning: Tuning) -> None:
        """Its destinations are the mesh's Services, which no proxy has to be told."""
        if tuning != self._tuning:
            self._tuning = tuning
            self.mesh.set_variables(
                LINKERD2_PROXY_CORES=str(tuning.workers), WEFT_PROXY_TLS_RESUMPTION=str(tuning.resumption).lower()
            )
            self.restart()

    def destinations(self, number: int) -> list[tuple[str, int, str]]:
        return [(self.mesh.service(name), PORTS["http1"], name) for name in configurations.destinations(number)]

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
            processes.pin(self._pids[-1], _cores(self._tuning))

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
            process = processes.spawn([program], self.network, {processes.PROXY_CORE}, log, variables)
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
    program: str
    mesh: Mesh
    ways: Sequence[Way]
    redirected: dict[Route, int]
    """The backend's ports that lead to this peer."""
    _tuning: Tuning = DEFAULT
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def network(self) -> int:
        return self.mesh.peer_client_network

    def url(self, route: Route, path: str = "") -> str:
        return _url(self.mesh.peer_backend_address, self.redirected[route], path)

    def pids(self) -> list[int]:
        if not self._running:
            self.restart()
        return [process.pid for process in self._running]

    def restart(self) -> None:
        self.ready_ms()

    def tune(self, tuning: Tuning) -> None:
        if tuning != self._tuning:
            self._tuning = tuning
            self.restart()

    def destinations(self, number: int) -> list[tuple[str, int, str]]:
        address, port = self.mesh.peer_backend_address, self.redirected["http1"]
        return [(address, port, name) for name in configurations.destinations(number)]

    def ready_ms(self) -> list[float]:
        """Start both sides, inbound first; ready is when the last listener accepts."""
        self.stop()
        outbound, inbound = self._commands()
        mesh = self.mesh
        return [
            self._start(inbound, mesh.peer_backend_network, [way.inbound for way in self.ways if way.inbound]),
            self._start(outbound, mesh.peer_client_network, [way.outbound for way in self.ways]),
        ]

    def _start(self, command: list[str], network: int, ports: Sequence[int]) -> float:
        with (self.mesh.directory / f"{self.name}.log").open("ab") as log:
            began = time.perf_counter()
            process = processes.spawn(command, network, _cores(self._tuning), log)
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

    def _commands(self) -> tuple[list[str], list[str]]:
        """Write the configurations of both sides; what starts the outbound and the inbound one."""
        directory, upstream, tuning = self.mesh.directory, self.mesh.peer_backend_address, self._tuning
        if self.name == "haproxy":
            outbound = configurations.haproxy_outbound(self.ways, upstream, directory, tuning, processes.connections())
            inbound = configurations.haproxy_inbound(self.ways, directory, tuning, processes.connections())
            words, more = ["-db", "-q", "-f"], list[str]()
        else:
            outbound = json.dumps(configurations.envoy_outbound(self.ways, upstream, directory, tuning))
            inbound = json.dumps(configurations.envoy_inbound(self.ways, directory))
            words, more = ["-c"], ["--concurrency", str(tuning.workers), "-l", "error", "--disable-hot-restart"]
        files = (directory / f"{self.name}-outbound.json", directory / f"{self.name}-inbound.json")
        for file, text in zip(files, (outbound, inbound), strict=True):
            file.write_text(text)
        return [self.program, *words, str(files[0]), *more], [self.program, *words, str(files[1]), *more]


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
        ways = _ways(9000 + 100 * number)
        redirected = {way.route: 18000 + 100 * number + index for index, way in enumerate(ways)}
        redirects |= {(mesh.peer_backend_address, redirected[way.route]): way.outbound for way in ways}
        peers.append(Pair(name, found, mesh, ways, redirected))
    if redirects:
        mesh.redirect(redirects)
    return peers


def _ways(base: int) -> list[Way]:
    return [
        Way(route, spoken, base + index, 0 if route == "hop" else base + 40 + index, PORTS[route])
        for index, (route, spoken) in enumerate(_SPOKEN.items())
    ]


def _cores(tuning: Tuning) -> set[int]:
    return set(range(os.cpu_count() or 1)) if tuning.everywhere else {processes.PROXY_CORE}


def program(name: str) -> str | None:
    """The path of a peer's program. Envoy's is where `scripts/bench-peers` put it, which WEFT_BENCH_ENVOY names."""
    named = os.environ.get(f"WEFT_BENCH_{name.upper()}", "")
    if named and os.access(named, os.X_OK):
        return named
    return find_program(name)


def _url(address: str, port: int, path: str) -> str:
    return f"http://{address}:{port}{path or GRPC_PATH}"
