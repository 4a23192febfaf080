"""Mesh files: what a bad one says, what a live edit does, and what is left when a mesh is killed."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.applications import FILES, Python, ask, idle, text

from weft.local import state
from weft.testing import Mesh, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def documents(python: Python) -> str:
    return text(python.server("server"), idle("client"))


@pytest.fixture(scope="module")
def mesh(documents: str) -> Iterator[Mesh]:
    with Mesh(documents, FILES, "files") as mesh:
        yield mesh


def test_a_bad_file_does_not_start(mesh: Mesh, documents: str, tmp_path: Path) -> None:
    """Requirement: `weft up` of a bad file ends with exit code 1 and says file, line, reason and hint."""
    bad = tmp_path / "bad.yaml"
    bad.write_text(documents.replace("readiness:", "readyness:", 1))
    line = bad.read_text().split("readyness")[0].count("\n") + 1
    said = mesh.run("up", str(bad))
    assert said.returncode == 1
    assert f"{bad}:{line}:" in said.stderr
    assert "readyness" in said.stderr
    assert "did you mean `readiness`?" in said.stderr


def test_a_bad_edit_changes_nothing(mesh: Mesh, python: Python, documents: str) -> None:
    """Requirement: a bad live edit is said with its line; every process runs on, and a good edit is applied again."""
    before = mesh.replicas()
    mesh.edit(documents.replace("replicas: 1", "replicas: many"))
    line = documents.split("replicas: 1")[0].count("\n") + 1
    wait_until(lambda: "the edit was not applied" in mesh.output(), "the edit is refused")
    assert f"{mesh.file}:{line}:" in mesh.output()
    assert ask(mesh, python, "client-0", "raw.py", "status", "server", 8081)["status"] == 200
    after = mesh.replicas()
    assert {name: (row["pid"], row["proxy_pid"]) for name, row in before.items()} == {
        name: (row["pid"], row["proxy_pid"]) for name, row in after.items()
    }
    mesh.edit(documents.replace("replicas: 1", "replicas: 2"))
    wait_until(lambda: mesh.replicas().get("server-1", {}).get("ready"), "the good edit is applied")


def test_nothing_is_left_of_a_killed_mesh(mesh: Mesh, documents: str) -> None:
    """Requirement: kill -9 of `weft up` takes every process with it; the next command removes the stale files.

    Then the mesh can be started again under its name.
    """
    assert mesh.supervisor
    mine = mesh.processes()
    assert sum("weft-proxy" in command for command in mine.values()) >= 3
    files = state.find(mesh.name).root
    assert files.is_dir()
    mesh.supervisor.send_signal(signal.SIGKILL)
    mesh.supervisor.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in mine), "all processes are gone")
    assert mesh.run("ps").returncode == 1
    assert not files.exists()
    mesh.edit(documents)
    mesh.start()
    assert set(mesh.replicas()) >= {"server-0", "client-0", "weft-control-plane-0"}
