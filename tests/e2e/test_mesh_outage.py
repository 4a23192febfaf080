"""The mesh while its control plane is down, for ten seconds; `tests/soak` has the minute."""

import pytest
from tests.e2e import outage
from tests.e2e.applications import FILES, Python, idle, text
from tests.e2e.load import load

from weft.testing import Mesh, wait_until

pytestmark = pytest.mark.e2e
SECONDS = 10.0


def survives(python: Python, seconds: float) -> None:
    """Requirement: with the control plane killed again at each restart no request fails.

    Replicas that are added after its return are used.
    """

    def documents(replicas: int) -> str:
        return text(python.server("server", replicas), idle("client"))

    with (
        Mesh(documents(2), FILES, "outage") as mesh,
        load(mesh, python, "client-0", "server:8080") as found,
    ):
        outage.keep_down(mesh, seconds)
        before = mesh.counted("client-0", "request_total", {"direction": "outbound"})
        mesh.edit(documents(3))
        wait_until(lambda: mesh.replicas().get("server-2", {}).get("ready"), "the new replica is ready")
        used = {"direction": "inbound", "tls": "true"}
        wait_until(lambda: mesh.counted("server-2", "request_total", used) > 0, "the new replica is used")
    assert before > 0
    assert found.failed == 0, found
    assert set(found.replicas) == {"server-0", "server-1", "server-2"}


def test_no_request_fails_while_the_control_plane_is_down(python: Python) -> None:
    """Requirement: see `survives`."""
    survives(python, SECONDS)
