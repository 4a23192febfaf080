"""The peers: how each is started, reached and found in /proc. What is asked of them is `measure`'s to say.

Every peer answers the same questions: `ready_ms` of fresh proxies, `url` for the load generator, `network` to run it
in, `pids` of the pair; and can be set up otherwise, `tune`. A scenario that it cannot carry is not `asked` of it.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench import certificates, configurations, processes, programs, waiting
from bench.backends import PORTS, url
from bench.configurations import Spoken, Way
from bench.mesh import Mesh
from bench.pair import Pair, Program
from bench.scenario import DEFAULT, Route, Scenario, Tuning

_ADMIN = 4191
_SPOKEN: dict[Route, Spoken] = {"http1": "http1", "grpc": "http2", "stream": "http2", "tcp": "tcp", "hop": "http1"}


class Peer(Protocol):
    """One row of the table."""

    @property
    def name(self) -> str:
        """As the results call it."""

    @property
    def network(self) -> int:
        """Where the load generator runs."""

    def asked(self, scenario: Scenario) -> bool:
        """Whether a scenario is for it."""

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

    def series(self) -> int | None:
        """How many sets of labels the pair's metrics have; None where they are not asked for."""

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

    def asked(self, scenario: Scenario) -> bool:
        return True

    def url(self, route: Route, path: str = "") -> str:
        return url(self.mesh.peer_backend_address, PORTS[route], path)

    def pids(self) -> list[int]:
        return []

    def restart(self) -> None:
        pass

    def tune(self, tuning: Tuning) -> None:
        pass

    def destinations(self, number: int) -> list[tuple[str, int, str]]:
        return []

    def series(self) -> int | None:
        return None

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

    def asked(self, scenario: Scenario) -> bool:
        return True

    def url(self, route: Route, path: str = "") -> str:
        address = self.mesh.peer_backend_address if route == "hop" else self.mesh.service("backend")
        return url(address, PORTS[route], path)

    def pids(self) -> list[int]:
        if not self._pids:
            self._find([])
        return self._pids

    def restart(self) -> None:
        before = self.pids()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        self._find(before)
        self.mesh.until_settled()

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

    def series(self) -> int | None:
        networks = (self.mesh.client_network, self.mesh.backend_network)
        texts = [waiting.get(network, "127.0.0.1", _ADMIN, "/metrics")[1].decode() for network in networks]
        return sum(label_sets(text) for text in texts)

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
            processes.pin(self._pids[-1], processes.proxy_cores(self._tuning.everywhere))

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


def label_sets(metrics: str) -> int:
    """Of Prometheus' text: a histogram's buckets and its sum belong to its count, which is one."""
    samples = [line.partition("{")[0].partition(" ")[0] for line in metrics.splitlines() if not line.startswith("#")]
    return sum(not name.endswith(("_bucket", "_sum")) for name in samples)


def available(mesh: Mesh, directory: Path) -> list[Peer]:
    """Every peer that this machine has; a line for each that it has not."""
    certificates.make(directory)
    peers: list[Peer] = [Direct(mesh), Weft(mesh)]
    redirects: dict[tuple[str, int], int] = {}
    for number, (name, program) in enumerate(programs.found().items()):
        if program is None:
            sys.stderr.write(f"bench: {name} is left out: it is not installed\n")
            continue
        ways = _ways(program, 9000 + 100 * number)
        redirected = {way.route: 18000 + 100 * number + index for index, way in enumerate(ways)}
        redirects |= {(mesh.peer_backend_address, redirected[way.route]): way.outbound for way in ways}
        peers.append(Pair(program, mesh, ways, redirected))
    if redirects:
        mesh.redirect(redirects)
    return peers


def _ways(program: Program, base: int) -> list[Way]:
    return [
        Way(route, _SPOKEN[route], base + index, 0 if route == "hop" else base + 40 + index, PORTS[route])
        for index, route in enumerate(program.routes)
    ]
