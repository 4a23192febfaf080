"""Policy that changes: how fast what it takes away ends, and that nothing slips through. Says what it measured."""

from collections.abc import Iterator

import pytest
from tests.e2e import access
from tests.e2e.access import FOR_WEB, HELD, Documents, policy
from tests.e2e.applications import FILES, Python, text

from weft.local import client
from weft.testing import Mesh

pytestmark = pytest.mark.soak
REVOCATIONS = 30
CHANGES = 200
WITHIN_SECONDS = 1.0


@pytest.fixture(scope="module")
def python() -> Python:
    return Python.find()


@pytest.fixture(scope="module")
def documents(python: Python) -> Documents:
    return Documents(python)


@pytest.fixture(scope="module")
def mesh(documents: Documents) -> Iterator[Mesh]:
    with Mesh(documents.text(*FOR_WEB), FILES, "policy") as mesh:
        yield mesh


def test_a_revoked_clients_streams_end_within_a_second(mesh: Mesh, python: Python, documents: Documents) -> None:
    """Requirement: from the edit of the file that takes a grant to the end of open gRPC streams, upgraded connections
    and connections of bytes it takes less than a second, every time; so it does from the request that applies other
    documents.
    """

    def apply(account: str) -> None:
        policies = text(*(policy(f"web-{name}", "Server", name, account) for name in ("calls", "http", "bytes")))
        assert "problems" not in client.ask(mesh.name, {"do": "apply", "texts": [["-", policies]]})

    ways = {
        "edit": (lambda: mesh.edit(documents.text()), lambda: mesh.edit(documents.text(*FOR_WEB))),
        "apply": (lambda: apply("cron"), lambda: apply("web")),
    }
    worst = 0.0
    with access.holding(mesh, python, "again") as clients:
        for way, (take, give) in ways.items():
            after: dict[str, list[float]] = {kind: [] for kind in HELD}
            for _ in range(REVOCATIONS):
                for kind, ended in access.revoked(clients, take).items():
                    after[kind].append(ended.after)
                give()
            for kind, seconds in after.items():
                print(f"{way}: {kind} ended after {access.told(seconds)}")
                worst = max(worst, *seconds)
    assert worst < WITHIN_SECONDS


def test_two_hundred_changes_under_load(mesh: Mesh, python: Python, documents: Documents) -> None:
    """Requirement: a request that the state before and the one after forbid is never let through, and from a second
    after a change none that the new state forbids.
    """
    delays = access.changes(mesh, python, documents, CHANGES)
    print(f"refused after {access.told(delays)}")
    assert max(delays) < WITHIN_SECONDS
