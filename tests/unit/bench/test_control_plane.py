"""What the bench of the control plane writes and asks."""

import pytest
from bench.control_plane.changes import changes, mesh
from bench.control_plane.streams import KINDS, crowd

from weft.resources import load_text

REPLICAS = 3


def test_the_mesh_is_good_documents() -> None:
    """Requirement: every file of the mesh loads: a Service with its pods each, and the Namespace."""
    for name, text in mesh(services=3, replicas=REPLICAS).items():
        loaded = load_text(text, name)
        assert loaded.problems == ()
        assert len(loaded.documents) == (1 if name == "namespace.yaml" else 1 + REPLICAS)


@pytest.mark.parametrize("name", changes(REPLICAS))
def test_a_change_changes_and_comes_back(name: str) -> None:
    """Requirement: two turns differ, the third is the first again, and every turn's documents are good."""
    change = changes(REPLICAS)[name]
    first, second, third = (change.text(turn) for turn in range(3))
    assert first != second
    assert first == third
    assert [load_text(text, change.file).problems for text in (first, second)] == [(), ()]


@pytest.mark.parametrize(("together", "connections"), [(5, 20), (1, 50)])
def test_five_streams_are_a_proxy(together: int, connections: int) -> None:
    """Requirement: each proxy asks each question once; `together` streams share a connection for each of two ports."""
    made = crowd(50, together, destination_port=1, policy_port=2)
    assert [(each.proxy, each.kind) for each in made] == [(proxy, kind) for proxy in range(10) for kind in KINDS]
    assert len({each.connection for each in made}) == connections
    assert all(len({each.port for each in made if each.connection == one}) == 1 for one in range(connections))
