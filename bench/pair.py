"""Another proxy, twice: its outbound side with the unmeshed client, its inbound side with the unmeshed backend."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench import configurations, processes, waiting
from bench.backends import url
from bench.configurations import Way
from bench.mesh import Mesh
from bench.scenario import DEFAULT, Kind, Route, Scenario, Tuning


@dataclass(frozen=True, slots=True)
class Program:
    """What another proxy's program is asked, and how it is started."""

    name: str
    routes: Sequence[Route]
    """The ways that it can carry."""
    commands: Callable[[Sequence[Way], Mesh, Tuning], list[list[str]]]
    """Writes the configurations of both sides; what starts the outbound and then the inbound one, where it has one."""
    kinds: Sequence[Kind] = ()
    """Of scenarios that it is asked; empty: all."""

    def asked(self, scenario: Scenario) -> bool:
        """Whether a scenario is for it."""
        return scenario.route in self.routes and (not self.kinds or scenario.kind in self.kinds)


@dataclass(slots=True)
class Pair:
    """A peer made of such a program."""

    program: Program
    mesh: Mesh
    ways: Sequence[Way]
    redirected: Mapping[Route, int]
    """The backend's ports that lead to this peer."""
    _tuning: Tuning = DEFAULT
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def network(self) -> int:
        return self.mesh.peer_client_network

    def asked(self, scenario: Scenario) -> bool:
        return self.program.asked(scenario)

    def url(self, route: Route, path: str = "") -> str:
        return url(self.mesh.peer_backend_address, self.redirected[route], path)

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

    def series(self) -> int | None:
        return None

    def ready_ms(self) -> list[float]:
        """Start both sides, inbound first; ready is when the last listener accepts."""
        self.stop()
        mesh = self.mesh
        outbound, *inbound = self.program.commands(self.ways, mesh, self._tuning)
        ports = [way.inbound for way in self.ways if way.inbound]
        took = [self._start(command, mesh.peer_backend_network, ports) for command in inbound]
        return [*took, self._start(outbound, mesh.peer_client_network, [way.outbound for way in self.ways])]

    def _start(self, command: list[str], network: int, ports: Sequence[int]) -> float:
        with (self.mesh.directory / f"{self.name}.log").open("ab") as log:
            began = time.perf_counter()
            process = processes.spawn(command, network, processes.proxy_cores(self._tuning.everywhere), log)
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
