"""Policy that changes: how fast what it takes away ends, and that nothing slips through. Says what it measured."""

from collections.abc import Iterator

import pytest
from tests.e2e import access
from tests.e2e.access import FOR_WEB, HELD, Documents
from tests.e2e.applications import FILES, Python

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
    and connections of bytes it takes less than a second, every time.
    """
    after: dict[str, list[float]] = {kind: [] for kind in HELD}
    with access.holding(mesh, python, "again") as clients:
        for _ in range(REVOCATIONS):
            for kind, ended in access.revoked(mesh, documents, clients).items():
                after[kind].append(ended.after)
            mesh.edit(documents.text(*FOR_WEB))
    print("; ".join(f"{kind} ended after {access.told(seconds)}" for kind, seconds in after.items()))
    assert max(max(seconds) for seconds in after.values()) < WITHIN_SECONDS


def test_two_hundred_changes_under_load(mesh: Mesh, python: Python, documents: Documents) -> None:
    """Requirement: a request that the state before and the one after forbid is never let through, and from a second
    after a change none that the new state forbids.
    """
    delays = access.changes(mesh, python, documents, CHANGES)
    print(f"refused after {access.told(delays)}")
    assert max(delays) < WITHIN_SECONDS
