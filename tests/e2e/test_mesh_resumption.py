"""TLS sessions that are resumed when what they were made under is gone.

Proxies keep their keys to themselves, so the client here has a certificate of its own from the mesh's issuer: as much
as an attacker could have who got hold of one, and more than any application has.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.e2e.access import FOR_WEB, HTTP, WEB, Documents, status
from tests.e2e.applications import FILES, FOLDER, Python

from weft.identity import authority, files
from weft.identity.ca import Names
from weft.testing import Mesh, wait_until

pytestmark = pytest.mark.e2e
SERVER = "api.default.serviceaccount.identity.weft.cluster.local"


@pytest.fixture
def issuer(tmp_path: Path) -> Path:
    authority.create(tmp_path / "issuer", "cluster.local", datetime.now(UTC))
    return tmp_path / "issuer"


@contextlib.contextmanager
def client(mesh: Mesh, chain: Path, key: Path) -> Iterator[subprocess.Popen[str]]:
    """`apps/stolen.py` in front of the proxy of `api-0`."""
    address = mesh.replicas()["api-0"]["address"]
    asked = (str(FOLDER / "stolen.py"), address, SERVER, str(chain), str(key), str(HTTP))
    with mesh.in_fabric(sys.executable, *asked) as running:
        try:
            yield running
        finally:
            running.kill()


def said(running: subprocess.Popen[str], how: str) -> dict[str, Any]:
    assert running.stdin
    assert running.stdout
    running.stdin.write(f"{how}\n")
    running.stdin.flush()
    answer = json.loads(running.stdout.readline())
    assert isinstance(answer, dict)
    return answer


def certificate(issuer: Path, name: str, folder: Path) -> tuple[Path, Path]:
    """A certificate that the mesh's issuer signed, and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    now = datetime.now(UTC)
    leaf = files.load(issuer, None, now).issue(request, Names(name), now)
    chain, private = folder / "chain.pem", folder / "key.pem"
    chain.write_text("".join(map(pem, (leaf.certificate, *leaf.intermediates))))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, private


def pem(der: bytes) -> str:
    return x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM).decode()


def test_a_resumed_session_gives_nothing_back(python: Python, issuer: Path, tmp_path: Path) -> None:
    """Requirement: a session is resumed while its client may come, and still when it may not: then it is refused like
    any other, as every connection and request is judged by the policy of the moment. When the anchor that its
    certificate leads to is trusted no more there is nothing to resume, and no handshake either. Who says nothing of the
    port that is meant comes nowhere, with the best of certificates.
    """
    documents = Documents(python)
    with (
        Mesh(documents.text(*FOR_WEB), FILES, "resumption", ("--issuer-dir", str(issuer))) as mesh,
        client(mesh, *certificate(issuer, WEB, tmp_path)) as stolen,
    ):
        assert "error" in said(stolen, "bare")
        assert said(stolen, "new") == {"status": 200, "resumed": False}
        assert said(stolen, "resume") == {"status": 200, "resumed": True}

        mesh.edit(documents.text())
        wait_until(lambda: status(mesh, python, "web-0") == 403, "the client is refused")
        assert said(stolen, "resume") == {"status": 403, "resumed": True}
        mesh.edit(documents.text(*FOR_WEB))
        wait_until(lambda: status(mesh, python, "web-0") == 200, "the client is let in again")
        assert said(stolen, "resume") == {"status": 200, "resumed": True}

        authority.create(tmp_path / "other", "cluster.local", datetime.now(UTC))
        done = mesh.run("identity", "rotate-anchors", "--from", str(tmp_path / "other"))
        assert done.returncode == 0, done.stderr
        assert status(mesh, python, "web-0") == 200
        for how in ("resume", "new"):
            assert "error" in said(stolen, how)
