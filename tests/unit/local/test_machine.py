"""What `weft check` finds, on a machine that can run a mesh and with files that cannot."""

import socket
from pathlib import Path

import pytest

from weft.local import machine
from weft.local.checks import Finding, Outcome
from weft.local.machine import Asked, Check, Failed, Warned

MESH = """
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: web}
spec:
  command: [COMMAND]
  ports: [{port: 80}]
  publish: [{port: 80, listen: "127.0.0.1:PORT"}]
"""


def found(file: Path, text: str) -> dict[str, Finding]:
    file.write_text(text)
    return {each.name: each for each in machine.findings("no-such-mesh", [file])}


def test_files_are_checked_for_what_would_fail_later(tmp_path: Path) -> None:
    """Requirement: a port that is taken, a missing command and a closed directory fail, each with a hint."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        results = found(tmp_path / "mesh.yaml", MESH.replace("PORT", str(port)).replace("COMMAND", "no-such-program"))
    assert (results["published ports are free"].outcome, results["commands"].outcome) == (
        Outcome.FAILED,
        Outcome.FAILED,
    )
    assert f"127.0.0.1:{port}" in results["published ports are free"].detail
    assert "no-such-program of web" in results["commands"].detail
    assert all(each.hint for each in results.values() if each.outcome != Outcome.OK)
    results = found(tmp_path / "mesh.yaml", MESH.replace("PORT", "0").replace("COMMAND", "sh"))
    assert results["commands"].outcome == results["published ports are free"].outcome == Outcome.OK


def test_broken_files_are_told_and_the_machine_is_checked_all_the_same(tmp_path: Path) -> None:
    """Requirement: each problem of a document is a failed check with its place."""
    results = found(tmp_path / "mesh.yaml", MESH.replace("command", "comand"))
    assert results["documents are valid"].outcome == Outcome.FAILED
    assert str(tmp_path / "mesh.yaml") in results["documents are valid"].detail
    assert {
        each.outcome for name, each in results.items() if name in ("programs are installed", "namespaces work")
    } == {Outcome.OK}


def test_a_check_added_to_the_list_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requirement: whoever adds a check says how it went by returning or raising, and nothing else."""

    def late(_: Asked) -> str:
        raise Warned("soon", "hurry")

    def over(_: Asked) -> str:
        raise Failed("too late", "begin anew")

    monkeypatch.setattr(machine, "CHECKS", [Check("time", "late", late), Check("time", "over", over)])
    assert machine.findings("no-such-mesh", []) == [
        Finding("time", "late", Outcome.WARNING, "soon", "hurry"),
        Finding("time", "over", Outcome.FAILED, "too late", "begin anew"),
    ]
