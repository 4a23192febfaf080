"""What the demo's figures say, and whether that is what a mesh should show. Pure.

Takes counts and rates that others have read; never starts, reads or prints anything.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

EVEN_WITHIN_POINTS = 5.0
SOUND_SUCCESS = 0.99
TOO_OFTEN_TIMES = 5.0
FAULTY_ROUTE = "prices-discount"
EAGER_CLIENT = "poller"
TALKS = (
    ("loadgen", "orders"),
    ("loadgen", "prices"),
    ("loadgen", "web"),
    ("orders", "prices"),
    ("orders", "stock"),
    ("poller", "prices"),
    ("web", "orders"),
    ("web", "prices"),
    ("web", "stock"),
)


@dataclass(frozen=True, slots=True)
class Balance:
    """How one client's calls over one connection were spread, as the client counted them."""

    calls: int
    concurrency: int
    failed: int
    seconds: float
    replicas: Mapping[str, int]

    def share(self, replica: str) -> float:
        """The replica's part of all calls, in per cent."""
        return 100 * self.replicas.get(replica, 0) / self.calls


@dataclass(frozen=True, slots=True)
class Edge:
    """Who talks to whom: workloads, their identities (empty when there is none), and whether it is mutual TLS."""

    src: str
    dst: str
    client_id: str
    server_id: str
    secured: bool


@dataclass(frozen=True, slots=True)
class Method:
    """One method of one service, as its callers saw it.

    `success` is a fraction, `rps` calls a second, `p99` milliseconds; None where nothing was measured.
    """

    route: str
    success: float | None
    rps: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica and the fraction of its answers that were not failures, over all methods."""

    name: str
    success: float | None


@dataclass(frozen=True, slots=True)
class Caller:
    """How often one workload calls one service, in calls a second."""

    client: str
    server: str
    rps: float


def balance(log: str) -> Balance | None:
    """The newest count in the load generator's output; None when it has not counted yet."""
    for line in reversed(log.splitlines()):
        start = line.find('{"event": "balance"')
        if start >= 0:
            said = json.loads(line[start:])
            return Balance(said["calls"], said["concurrency"], said["failed"], said["seconds"], said["replicas"])
    return None


def wrong_before(counted: Balance, replicas: Sequence[str]) -> list[str]:
    """Without the mesh one connection must mean one replica."""
    busy = [name for name in replicas if counted.replicas.get(name)]
    wrong = [] if len(busy) == 1 else [f"without the mesh {len(busy)} replicas were called over one connection, not 1"]
    return wrong + _failed(counted)


def wrong_after(counted: Balance, replicas: Sequence[str]) -> list[str]:
    """With the mesh each replica must have its even share."""
    even = 100 / len(replicas)
    return [
        f"{name} answered {counted.share(name):.0f} % of the calls, not {even:.0f} % (within {EVEN_WITHIN_POINTS:.0f})"
        for name in replicas
        if abs(counted.share(name) - even) > EVEN_WITHIN_POINTS
    ] + _failed(counted)


def wrong_edges(edges: Iterable[Edge], left_out: Collection[str] = ()) -> list[str]:
    """Every pair of workloads that talk must be there, as mutual TLS with both identities."""
    sound = {(e.src, e.dst) for e in edges if e.secured and e.client_id and e.server_id}
    return [
        f"{src} to {dst} is not seen as mutual TLS"
        for src, dst in TALKS
        if (src, dst) not in sound and not {src, dst} & set(left_out)
    ]


def failing(methods: Iterable[Method]) -> list[Method]:
    """The methods of which too many calls fail, the worst first."""
    ill = [m for m in methods if m.success is not None and m.success < SOUND_SUCCESS]
    return sorted(ill, key=lambda m: (m.success, m.route))


def culprit(method: Method, replicas: Iterable[Replica]) -> str | None:
    """The one replica of the method's service on which calls fail; None when there are several, or no other."""
    service = method.route.partition("-")[0]
    siblings = [r for r in replicas if r.name.rpartition("-")[0] == service and r.success is not None]
    ill = [r.name for r in siblings if r.success is not None and r.success < 1]
    return ill[0] if len(ill) == 1 and len(siblings) > 1 else None


def too_often(callers: Iterable[Caller]) -> tuple[Caller, float] | None:
    """The client that calls a service far more often than any other does, and how many times as often."""
    found: list[tuple[Caller, float]] = []
    by_server = sorted(callers, key=lambda c: (c.server, -c.rps))
    for _, group in groupby(by_server, key=lambda c: c.server):
        first, *others = group
        if others and others[0].rps > 0 and first.rps >= TOO_OFTEN_TIMES * others[0].rps:
            found.append((first, first.rps / others[0].rps))
    return max(found, key=lambda pair: pair[0].rps, default=None)


def wrong_findings(methods: Sequence[Method], callers: Sequence[Caller]) -> list[str]:
    """The faulty method and the eager client must stand out, and no other."""
    wrong = []
    ill = [m.route for m in failing(methods)]
    if ill != [FAULTY_ROUTE]:
        wrong.append(f"the method that stands out is {', '.join(ill) or 'none'}, not {FAULTY_ROUTE}")
    eager = too_often(callers)
    if eager is None or eager[0].client != EAGER_CLIENT:
        wrong.append(f"the client that stands out is {eager[0].client if eager else 'none'}, not {EAGER_CLIENT}")
    return wrong


def _failed(counted: Balance) -> list[str]:
    return [f"{counted.failed} of {counted.calls} calls failed"] if counted.failed else []
