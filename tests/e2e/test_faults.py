"""Connections that are slow, reset, cut or silent, between two proxies and between a proxy and its application."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml
from tests.e2e import faults
from tests.e2e.applications import FILES, idle, text
from tests.e2e.faults import Answer, ask, asks, faulty
from tests.e2e.toxiproxy import APPLICATION_PORT, Toxiproxy

from weft.testing import Mesh, wait_until

pytestmark = pytest.mark.e2e
TIMEOUT = 1.0
SPARE = 3.0
"""What a busy machine may add to the timeout."""
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: hurried}
spec:
  parentRefs: [{name: server, kind: Service, group: ""}]
  rules:
  - timeouts: {request: 1s}
    backendRefs: [{name: server, port: 8080}]
"""
BROKEN_OFF = 0


@dataclass(frozen=True)
class Fault:
    """A toxic, what is asked for while it lasts, and the statuses that may come of it."""

    name: str
    kind: str
    attributes: dict[str, int]
    statuses: tuple[int, ...]
    path: str = "/seen"
    upstream: bool = False


FAULTS = (
    Fault("a short delay", "latency", {"latency": 100, "jitter": 0}, (200,)),
    Fault("a long delay", "latency", {"latency": 10_000, "jitter": 0}, (504,)),
    Fault("a long delay of requests", "latency", {"latency": 10_000, "jitter": 0}, (504,), upstream=True),
    Fault("a reset", "reset_peer", {"timeout": 0}, (502, 504)),
    Fault("a late reset", "reset_peer", {"timeout": 300}, (200, 502, 504)),
    Fault("a slow close", "slow_close", {"delay": 500}, (200,)),
    Fault("a thin line", "bandwidth", {"rate": 20}, (BROKEN_OFF, 504), "/large"),
    Fault("a wide line", "bandwidth", {"rate": 100_000}, (200,), "/large"),
    Fault("silence", "timeout", {"timeout": 0}, (504,)),
    Fault("silence, then an end", "timeout", {"timeout": 200}, (502, 504)),
    Fault("an end after few bytes", "limit_data", {"bytes": 20}, (502, 504)),
    Fault("an end in the middle", "limit_data", {"bytes": 100_000}, (BROKEN_OFF, 502), "/large"),
)


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    server = faulty("server", 1, "python3", "faulty.py", str(APPLICATION_PORT))
    server["spec"]["readiness"]["tcpSocket"]["port"] = APPLICATION_PORT + 1
    with Mesh(text(server, idle("client"), yaml.safe_load(ROUTE)), FILES, "faults") as mesh:
        yield mesh


@pytest.fixture(scope="module")
def toxiproxy(mesh: Mesh) -> Iterator[Toxiproxy]:
    with Toxiproxy(mesh, "server-0") as toxiproxy:
        toxiproxy.before_application(8080)
        toxiproxy.between_proxies()
        wait_until(lambda: ask(mesh, "server", "/seen").status == 200, "the server answers")
        yield toxiproxy


@pytest.mark.parametrize("where", ["peers", "application"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.name))
def test_every_outcome_is_in_the_table_and_in_time(mesh: Mesh, toxiproxy: Toxiproxy, fault: Fault, where: str) -> None:
    """Requirement: whatever happens to connections, a client gets its answer, or a row of the error table, or an answer
    that visibly breaks off, within the timeout of its route; afterwards everything works again.
    """

    def works() -> bool:
        return ask(mesh, "server", "/seen").status == 200

    toxiproxy.add(where, fault.kind, upstream=fault.upstream, **fault.attributes)
    try:
        answers = asks(mesh, "client-0", "server", *[("GET", fault.path, {}, 0)] * 2)
    finally:
        toxiproxy.clear(where)
    for answer in answers:
        _judge(answer, fault)
    wait_until(works, "the server answers again")
    faults.rows(mesh, "client-0", "server-0")


def _judge(answer: Answer, fault: Fault) -> None:
    assert answer.status in fault.statuses, (answer, fault)
    assert answer.seconds < TIMEOUT + SPARE, (answer, fault)
    if answer.status >= 500:
        assert faults.told(answer), f"{answer} does not say why"
