"""Issuer and anchors of a control plane that runs from files are replaced step by step, confirmed by the proxies."""

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests import control_plane
from tests.e2e import one_proxy
from tests.e2e.one_proxy import ROOT, Proxy, free_ports

from weft.identity import authority, files, tokens
from weft.testing import wait_until

pytestmark = pytest.mark.e2e


@contextlib.contextmanager
def plane(folder: Path) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    """`weft control-plane` with an issuer and objects in `folder`."""
    (folder / "objects").mkdir()
    (folder / "objects" / "mesh.yaml").write_text(yaml.safe_dump_all(control_plane.MESH))
    key = tokens.create_key()
    (folder / "token.pub").write_bytes(key.public)
    names = ("identity", "destination", "policy", "admin")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    command = [sys.executable, "-P", "-m", "weft", "control-plane", "--listen", "127.0.0.1"]
    command += ["--objects", str(folder / "objects"), "--issuer-dir", str(folder / "issuer")]
    command += ["--token-key", str(folder / "token.pub")]
    command += [word for name, port in ports.items() for word in (f"--{name}-port", str(port))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    token = tokens.mint(key.private, tokens.Bearer("default", "web", "web-0", "uid-0"), datetime.now(UTC))
    about = {**ports, "token": token, "anchors": (folder / "issuer" / files.ANCHORS).read_text()}
    with subprocess.Popen(command, env=environment, text=True) as process:
        try:
            wait_until(lambda: answers(ports["admin"]), "the control plane is ready")
            yield about, process
        finally:
            process.kill()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
        return int(answer.status) == 200
    return False


def confirm(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "weft", "identity", "confirm", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def put(file: Path, text: str) -> None:
    """Replace a file in one step."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(file)


def test_anchors_are_replaced_in_confirmed_steps(tmp_path: Path) -> None:
    """Requirement: each step of a rotation by files is confirmed by what the proxies bear and trust; what they have not
    come along with is not, with the names of those who would be cut off, be it that they do not answer.
    """
    for name in ("issuer", "next"):
        authority.create(tmp_path / name, "cluster.local", datetime.now(UTC))
    old, new = (tmp_path / name / files.ANCHORS for name in ("issuer", "next"))
    before = tmp_path / "before.crt"
    before.write_text(old.read_text())
    bundle = tmp_path / "bundle.crt"
    bundle.write_text(old.read_text())
    settings = {"WEFT_PROXY_IDENTITY_TRUST_ANCHORS_FILE": str(bundle)}
    with plane(tmp_path) as (about, process), one_proxy.of(tmp_path, about, process, **settings) as proxy:
        steps(tmp_path, proxy, before, new, bundle)


def steps(folder: Path, proxy: Proxy, before: Path, new: Path, bundle: Path) -> None:
    place = f"127.0.0.1:{proxy.admin}"
    assert confirm(place, "--only", before, "--under", before, "--wait", "0s").returncode == 0
    told = confirm(place, "--only", before, "--wait", "0s", "-o", "json")
    assert json.loads(told.stdout) == {"done": True, "steps": ["1 of 1: confirm"]}
    early = confirm(place, "--trusts", new, "--wait", "0s")
    assert early.returncode == 1
    assert f"the next step would cut off {place}" in early.stderr
    (nobody,) = free_ports(1)
    silent = confirm(place, f"127.0.0.1:{nobody}", "--only", before, "--wait", "0s")
    assert silent.returncode == 1
    assert f"127.0.0.1:{nobody} did not answer" in silent.stderr

    both = before.read_text() + new.read_text()
    put(folder / "issuer" / files.ANCHORS, both)
    put(bundle, both)
    added = confirm(place, "--trusts", new)
    assert added.returncode == 0, added.stderr
    assert added.stdout.endswith("1 of 1: confirm\n")
    assert confirm(place, "--under", new, "--wait", "0s").returncode == 1

    for name in (files.ISSUER_KEY, files.ISSUER):
        put(folder / "issuer" / name, (folder / "next" / name).read_text())
    put(bundle, f"# reissue\n{both}")
    reissued = confirm(place, "--under", new, "--signed-by", folder / "next" / files.ISSUER)
    assert reissued.returncode == 0, reissued.stderr

    put(folder / "issuer" / files.ANCHORS, new.read_text())
    put(bundle, new.read_text())
    removed = confirm(place, "--only", new)
    assert removed.returncode == 0, removed.stderr


def test_what_is_to_be_confirmed_must_be_said(tmp_path: Path) -> None:
    """Requirement: a command that would confirm nothing, or a proxy that is no address, is a mistake and says so."""
    assert "say what is to be confirmed" in confirm("127.0.0.1").stderr
    (tmp_path / "a.crt").write_text("none")
    assert "is not HOST or HOST:PORT" in confirm("127.0.0.1:http", "--only", tmp_path / "a.crt").stderr
    assert "holds no usable certificate" in confirm("127.0.0.1", "--only", tmp_path / "a.crt").stderr
