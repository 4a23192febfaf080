"""How calls over one gRPC connection are spread over replicas, and how replicas come and go under load."""

import time
from collections.abc import Iterator

import pytest
from tests.e2e.applications import FILES, UNMESHED, Python, idle, text
from tests.e2e.load import calls, load

from weft.testing import Mesh, wait_until

pytestmark = pytest.mark.e2e
REPLICAS = ["server-0", "server-1", "server-2"]
CALLS = 3000
SPREADS = [(1, 10), (8, 5), (64, 5)]
"""Calls at a time, and by how many points a share may differ."""


def documents(python: Python, replicas: int) -> str:
    client = idle("client")
    client["spec"]["replicas"] = len(SPREADS) + 1  # each starts without knowledge of the servers
    return text(python.server("server", replicas), client, idle("stranger", **UNMESHED))


@pytest.fixture(scope="module")
def mesh(python: Python) -> Iterator[Mesh]:
    with Mesh(documents(python, 3), FILES, "balance") as mesh:
        yield mesh


def test_without_the_mesh_one_connection_means_one_replica(mesh: Mesh, python: Python) -> None:
    """Requirement: without a proxy one replica takes all 3,000 calls of one connection."""
    found = calls(mesh, python, "stranger-0", "server:8080", 8, CALLS)
    assert found.failed == 0
    assert list(found.replicas.values()) == [CALLS]


@pytest.mark.parametrize(("number", "concurrency", "points"), [(i, *spread) for i, spread in enumerate(SPREADS)])
def test_each_of_three_replicas_has_its_third(
    mesh: Mesh, python: Python, number: int, concurrency: int, points: int
) -> None:
    """Requirement: 33 % ± 5 at 8 or more calls at a time, ± 10 with one at a time, and no call fails."""
    found = calls(mesh, python, f"client-{number}", "server:8080", concurrency, CALLS)
    assert found.failed == 0, found.reasons
    for name in REPLICAS:
        assert abs(found.share(name) - 100 / 3) <= points, found


def test_replicas_come_and_go_under_load(mesh: Mesh, python: Python) -> None:
    """Requirement: a replica added under load is used within a second of being ready; replicas that are taken away
    again finish what they have in hand, and no call fails.
    """
    with load(mesh, python, "client-3", "server:8080") as found:
        mesh.edit(documents(python, 4))
        wait_until(lambda: mesh.replicas().get("server-3", {}).get("ready"), "the new replica is ready")
        ready = time.monotonic()
        wait_until(lambda: mesh.counted("server-3", "request_total", {"direction": "inbound"}) > 100, "it is used")
        mesh.edit(documents(python, 1))
        wait_until(lambda: not set(mesh.replicas()) & {"server-1", "server-2", "server-3"}, "three replicas are gone")
    assert found.failed == 0, found
    assert found.first["server-3"] - ready <= 1
