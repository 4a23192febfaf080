"""Issuer and trust anchors are replaced while the mesh works."""

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from tests.e2e.applications import FILES, Python, ask, idle, text
from tests.e2e.load import load

from weft.identity import authority, files
from weft.testing import Mesh, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def mesh(python: Python) -> Iterator[Mesh]:
    with Mesh(text(python.server("server", 2), idle("client")), FILES, "rotation") as mesh:
        yield mesh


def shown(mesh: Mesh) -> Any:
    """What `weft identity` says."""
    said = mesh.run("identity", "-o", "json")
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def rotate(mesh: Mesh, *arguments: str) -> str:
    said = mesh.run("identity", *arguments)
    assert said.returncode == 0, said.stderr + said.stdout
    return said.stdout


@contextmanager
def steady(mesh: Mesh, python: Python) -> Iterator[dict[str, Any]]:
    """HTTP requests and short TCP connections from the client to the servers until the block ends."""
    caller = mesh.background("client-0", *python.command("steady.py", "server", 8081, 12, 8082, 2))
    assert caller.stdout
    assert caller.stdout.readline() == "calling\n"
    result: dict[str, Any] = {}
    try:
        yield result
        result.update(json.loads(caller.communicate()[0]))
    finally:
        caller.kill()
        caller.wait()


def test_rotation_under_load_loses_nothing(mesh: Mesh, python: Python) -> None:
    """Requirement: while issuer and anchors are replaced, no gRPC call, HTTP request or new connection fails.

    Afterwards every workload bears a certificate below the new anchor and trusts no other.
    """
    before = shown(mesh)
    with load(mesh, python, "client-0", "server:8080", 4) as grpc, steady(mesh, python) as others:
        rotate(mesh, "rotate-issuer")
        between = shown(mesh)
        rotate(mesh, "rotate-anchors")
    after = shown(mesh)

    assert between["anchors"] == before["anchors"]
    assert between["issuer"]["sha256"] != before["issuer"]["sha256"]
    (anchor,) = after["anchors"]
    assert anchor["sha256"] != before["anchors"][0]["sha256"]
    assert len(after["workloads"]) == 4
    for each in after["workloads"]:
        assert [trusted["sha256"] for trusted in each["anchors"]] == [anchor["sha256"]], each
        assert [link["sha256"] for link in each["chain"][1:]] == [after["issuer"]["sha256"]], each
    assert (grpc.failed, others["http"]["failed"], others["tcp"]["failed"]) == (0, 0, 0), (grpc, others)
    assert min(grpc.calls, others["http"]["answered"], others["tcp"]["answered"]) > 50, (grpc, others)


def test_a_step_that_would_cut_somebody_off_is_refused(mesh: Mesh) -> None:
    """Requirement: while a proxy does not confirm that it trusts the new anchor, nothing is signed below it.

    The refusal names the replica. Asked for again, the rotation goes on where it stopped.
    """
    before = shown(mesh)
    proxy = int(mesh.replicas()["server-1"]["proxy_pid"])
    mesh.signal(proxy, signal.SIGSTOP)
    try:
        refused = mesh.run("identity", "rotate-anchors", "--wait", "1s")
    finally:
        mesh.signal(proxy, signal.SIGCONT)
    assert refused.returncode == 1
    assert "would cut off" in refused.stderr
    assert "default/server-1" in refused.stderr
    half_way = shown(mesh)
    assert half_way["anchors"][0] == before["anchors"][0]
    assert len(half_way["anchors"]) == 2
    assert half_way["issuer"] == before["issuer"]
    assert "half way" in mesh.run("identity", "rotate-issuer").stderr

    rotate(mesh, "rotate-anchors", "--until", "reissue")
    assert len(shown(mesh)["anchors"]) == 2
    rotate(mesh, "rotate-anchors")
    assert shown(mesh)["anchors"] == half_way["anchors"][1:]


def test_check_finds_a_mesh_that_is_well(mesh: Mesh) -> None:
    """Requirement: every check is well, and the command ends with 0."""
    said = mesh.run("check", "-o", "json")
    assert said.returncode == 0, said.stdout
    rows = json.loads(said.stdout)
    assert {row["outcome"] for row in rows} == {"ok"}, rows
    assert {row["section"] for row in rows} == {"machine", "identity", "mesh"}
    assert "√ trust anchors last" in mesh.run("check").stdout


def test_the_table_shows_everybody(mesh: Mesh) -> None:
    """Requirement: one row per workload with identity and remaining life, one per authority."""
    said = mesh.run("identity").stdout
    namespace, name, identity, left = next(line.split()[:4] for line in said.splitlines() if "server-0" in line)
    assert (namespace, name) == ("default", "server-0")
    assert identity == "server.default.serviceaccount.identity.weft.cluster.local"
    assert left in ("24h", "23h")
    assert [line.split("   ")[0] for line in said.splitlines() if line.startswith(("issuer", "anchor"))] == [
        "issuer",
        "anchor 1",
    ]


def secret(directory: Path) -> Path:
    """An issuer laid out as cert-manager does."""
    authority.create(directory, "example.org", datetime.now(UTC))
    (directory / files.ISSUER).rename(directory / files.TLS_CERTIFICATE)
    (directory / files.ISSUER_KEY).rename(directory / files.TLS_KEY)
    return directory


def test_a_given_issuer_signs_and_spiffe_ids_are_seen(python: Python, tmp_path: Path) -> None:
    """Requirement: `--issuer-dir` takes a Secret of cert-manager; with `--identity-form spiffe` peers see URIs.

    Such an issuer is replaced by one from another directory; what changes in its own is followed, unless broken.
    """
    first, second = secret(tmp_path / "first"), secret(tmp_path / "second")
    options = ("--issuer-dir", str(first), "--identity-form", "spiffe")
    uri = "spiffe://cluster.local/ns/default/sa/client"
    with Mesh(text(python.server("server"), idle("client")), FILES, "given", options) as mesh:
        assert "--from" in mesh.run("identity", "rotate-anchors").stderr
        answer = json.loads(ask(mesh, python, "client-0", "raw.py", "status", "server", 8081)["body"])
        assert answer["headers"]["l5d-client-id"] == uri
        before = shown(mesh)
        assert before["anchors"][0]["sha256"] == fingerprint(first)
        rotate(mesh, "rotate-anchors", "--from", str(second))
        after = shown(mesh)
        assert [each["sha256"] for each in after["anchors"]] == [fingerprint(second)]
        assert uri in [each["identities"][0] for each in after["workloads"]]
        assert ask(mesh, python, "client-0", "raw.py", "status", "server", 8081)["status"] == 200

        (first / files.TLS_CERTIFICATE).write_text("broken")
        wait_until(lambda: "is not followed" in mesh.output(), "the broken file is said")
        assert f"{files.TLS_CERTIFICATE} holds no usable certificate" in mesh.output()
        assert shown(mesh)["issuer"] == after["issuer"]
        shutil.rmtree(first)
        secret(first)
        wait_until(
            lambda: [each["sha256"] for each in shown(mesh)["anchors"]] == [fingerprint(first)], "it is followed"
        )


def fingerprint(directory: Path) -> str:
    return files.certificates(directory / files.ANCHORS)[0].fingerprint(hashes.SHA256()).hex()
