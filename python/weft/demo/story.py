"""The demo from beginning to end: the shop without the mesh, then with it, and what the mesh saw.

Puts the parts in their order and keeps the account of what was not as it should be. The figures are judged in
`verdict`, read in `running` and `reading`, and laid out in `view`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from weft.demo import build, reading, verdict
from weft.demo.mesh_file import effective, workloads
from weft.demo.running import POLL_SECONDS, Mesh, free_address
from weft.demo.view import View

MESH_FILE = Path(__file__).parent / "mesh.yaml"
BALANCED = "prices"
FRONT_PORT = 8080
# Generous for a slow machine; what is waited for usually takes a tenth of it.
COUNT_TIMEOUT_SECONDS = 90.0
FINDINGS_TIMEOUT_SECONDS = 45.0
# The window of the tables, and how long after the counted calls they have left it.
WINDOW_SECONDS = 10
LANGUAGES = {"orders": "Go", "stock": "Node.js"}

Seen = TypeVar("Seen")


@dataclass
class Story:
    """One telling of the demo for the mesh `name`."""

    name: str
    view: View
    wrong: list[str] = field(default_factory=list)

    def tell(self, stay: Callable[[Mesh, str], None]) -> list[str]:
        """Show everything; what was not as it should be.

        `stay` is called at the end, while the mesh still runs, with the address of the front page.
        """
        text = MESH_FILE.read_text()
        self.view.title("Loom, a cloth shop", "ordinary gRPC services, and not a line of mesh code in them")
        with self.view.waiting("building the services"):
            shop = build.build(build.cache_folder(), self.view.step)
        names = [name for name in workloads(text) if name not in shop.left_out]
        replicas = [f"{BALANCED}-{number}" for number in range(workloads(text)[BALANCED])]
        languages = ["Python", *(LANGUAGES[name] for name in LANGUAGES if name in names)]
        self.view.step(f"{', '.join(names)} ({', '.join(languages)})")
        self._before(Mesh(self.name, effective(text, shop.fill, shop.left_out, meshed=False)), replicas)
        front = free_address(FRONT_PORT)
        with Mesh(self.name, effective(text, shop.fill, shop.left_out, publish={"web": front})) as mesh:
            self._after(mesh, replicas)
            counted_at = time.monotonic()
            self._edges(mesh, shop.left_out)
            self._findings(mesh, counted_at)
            stay(mesh, front)
        return self.wrong

    def _before(self, unstarted: Mesh, replicas: Sequence[str]) -> None:
        with unstarted as mesh, self.view.waiting("starting the shop without the mesh, and counting"):
            counted = self._counted(mesh)
        self.view.heading("Before: without the mesh", _calls(counted))
        self.view.spread(counted, replicas)
        wrong = verdict.wrong_before(counted, replicas)
        if not wrong:
            self.view.notice("One connection means one replica; the others have nothing to do.")
        self._account(wrong)

    def _after(self, mesh: Mesh, replicas: Sequence[str]) -> None:
        with self.view.waiting("starting the shop with the mesh, and counting"):
            counted = self._counted(mesh)
        self.view.heading("After: with the mesh", "the same programs, the same calls")
        self.view.spread(counted, replicas)
        wrong = verdict.wrong_after(counted, replicas)
        if not wrong:
            self.view.good("Still one connection; the proxy beside the client spreads the calls.")
        self._account(wrong)

    def _edges(self, mesh: Mesh, left_out: Mapping[str, str]) -> None:
        with self.view.waiting("reading who talks to whom"):
            edges = self._settled(
                mesh, lambda: reading.edges(mesh, WINDOW_SECONDS), lambda seen: not verdict.wrong_edges(seen, left_out)
            )
        self.view.heading("Who talks to whom", "each side proves its identity to the other")
        self.view.edges(edges)
        wrong = verdict.wrong_edges(edges, left_out)
        if not wrong:
            self.view.good("Every pair speaks mutual TLS; the applications speak plain text and know nothing of it.")
        self._account(wrong)

    def _findings(self, mesh: Mesh, counted_at: float) -> None:
        with self.view.waiting(f"measuring for {WINDOW_SECONDS} seconds"):
            mesh.wait(counted_at + WINDOW_SECONDS + reading.SAMPLE_SECONDS - time.monotonic())
            found = self._settled(
                mesh, lambda: reading.findings(mesh, WINDOW_SECONDS), lambda seen: not verdict.wrong_findings(*seen[:2])
            )
        methods, callers, single = found
        ill = verdict.failing(methods)
        self.view.heading("What succeeds", f"over the last {WINDOW_SECONDS} seconds")
        self.view.methods(methods, [m.route for m in ill])
        for method in ill:
            self.view.notice(_failing_words(method, single))
        eager = verdict.too_often(callers)
        if eager is not None:
            caller, times = eager
            self.view.notice(
                f"{caller.client} calls {caller.server} {caller.rps:.0f} times a second, "
                f"{times:.0f} times as often as the next client."
            )
        self._account(verdict.wrong_findings(methods, callers))

    def _counted(self, mesh: Mesh) -> verdict.Balance:
        counted = _until(mesh, lambda: verdict.balance(mesh.log("loadgen")), COUNT_TIMEOUT_SECONDS)
        if counted is None:
            raise mesh.failed(f"the load generator has not counted its calls within {COUNT_TIMEOUT_SECONDS:.0f} s")
        return counted

    def _settled(self, mesh: Mesh, read: Callable[[], Seen], sound: Callable[[Seen], bool]) -> Seen:
        """Reads until it is as it should be, and for a limited time; what was read last."""
        latest = [read()]

        def again() -> bool | None:
            if not sound(latest[0]):
                latest[0] = read()
            return sound(latest[0]) or None

        _until(mesh, again, FINDINGS_TIMEOUT_SECONDS)
        return latest[0]

    def _account(self, wrong: list[str]) -> None:
        self.wrong += wrong
        for what in wrong:
            self.view.bad(what)


def _until(mesh: Mesh, ask: Callable[[], Seen | None], seconds: float) -> Seen | None:
    until = time.monotonic() + seconds
    while (answer := ask()) is None and time.monotonic() < until:
        mesh.wait(POLL_SECONDS)
    return answer


def _calls(counted: verdict.Balance) -> str:
    return f"{counted.calls:,} calls to {BALANCED}, one gRPC connection, {counted.concurrency} at a time"


def _failing_words(method: verdict.Method, replicas: Sequence[verdict.Replica]) -> str:
    words = f"{method.route} fails {100 * (1 - (method.success or 0)):.0f} % of its calls"
    name = verdict.culprit(method, replicas)
    return f"{words}, all of them on {name}." if name else f"{words}."
