"""`egress: host`: the way to the host's network, open for whom it is said and closed for everybody else.

The host is one that the test makes, in namespaces of its own: nothing here needs a network that leads anywhere.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.mesh import COMMAND, Weft, environment, until
from tests.e2e.software import program

from weft.local.uplink import TUN
from weft.testing import processes

pytestmark = pytest.mark.e2e
WORKLOAD = """\
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: NAME, annotations: {linkerd.io/inject: INJECT}}
spec: {command: [sleep, infinity]EGRESS}
"""
PAGE = "import urllib.request as r; print(r.urlopen('http://{}/', timeout=20).read().decode())"
PRINTED = "outside, asked by 203.0.113.80\n"
ECHO = (
    "import socket; c = socket.create_connection(('203.0.113.80', 7), 20); c.sendall(b'\\0\\1hi'); print(c.recv(100))"
)


@pytest.fixture
def elsewhere(weft: Weft, tmp_path: Path) -> Iterator[Weft]:
    """`weft` on a host that has a network of its own."""
    program("pasta", "passt")
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    host = [sys.executable, str(Path(__file__).parent / "apps" / "elsewhere.py"), str(tmp_path / "resolv.conf")]
    with subprocess.Popen(["unshare", *user, "--net", "--mount", *host], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        enter = ["nsenter", "--target", str(process.pid), "--net", "--mount"]
        if user:  # and there again as the same normal user
            ids = [f"--map-user={os.getuid()}", f"--map-group={os.getgid()}"]
            enter += ["--user", "--preserve-credentials", "--", "unshare", "--user", *ids]
        weft.where = (*enter, "--")
        yield weft
        process.kill()


def mesh(**egress: str) -> str:
    """One workload each; `plain` has no proxy."""
    return "---\n".join(
        WORKLOAD.replace("NAME", name)
        .replace("INJECT", "disabled" if name == "plain" else "enabled")
        .replace("EGRESS", f", egress: {each}" if each else "")
        for name, each in egress.items()
    )


def python(weft: Weft, replica: str, code: str) -> subprocess.CompletedProcess[str]:
    return weft.run("exec", replica, "--", "python3", "-c", code)


def test_who_says_so_reaches_the_hosts_network_and_nobody_else(elsewhere: Weft, tmp_path: Path) -> None:
    """Requirement: `egress: host` opens TCP and the names of the host's name servers, by the proxy where there is one,
    which counts it; without it names do not exist, addresses are unreachable, and `weft up` says what would open them.
    An edit opens and closes the way without a restart. Where the tun device is root's alone, the refusal says so.
    """
    weft, file = elsewhere, tmp_path / "mesh.yaml"
    file.write_text(mesh(out="host", plain="host", shut=""))
    if not os.access(TUN, os.R_OK | os.W_OK):
        process = weft.start(file)
        assert process.wait(60) == 1
        assert process.stdout is not None
        assert f"chmod a+rw {TUN}" in process.stdout.read()
        return
    process = weft.up(file)
    names = ["getent", "ahostsv4", "outside.example"]
    for replica in ("out", "plain"):
        until(lambda which=replica: python(weft, which, PAGE.format("outside.example")).stdout == PRINTED)
        assert python(weft, replica, ECHO).stdout == "b'heard \\x00\\x01hi'\n"
        assert "203.0.113.80" in weft.run("exec", replica, "--", "env", "RES_OPTIONS=use-vc", *names).stdout
    assert weft.run("exec", "out", "--", "getent", "hosts", "nowhere.example").returncode == 2
    assert_counted(weft)

    assert weft.run("exec", "shut", "--", *names).returncode == 2
    assert "Network is unreachable" in python(weft, "shut", PAGE.format("203.0.113.80")).stderr

    before = {row["name"]: row["pid"] for row in weft.replicas()}
    file.write_text(mesh(out="closed", plain="host", shut="host"))
    until(lambda: python(weft, "shut", PAGE.format("outside.example")).stdout == PRINTED)
    assert "Network is unreachable" in python(weft, "out", PAGE.format("203.0.113.80")).stderr
    assert {row["name"]: row["pid"] for row in weft.replicas()} == before
    weft.run("down")
    assert process.stdout is not None
    said = process.stdout.read()
    assert "default/shut-0 asked for outside.example, which is not in the mesh" in said
    assert "hint: `egress: host` in shut's spec" in said


def assert_counted(weft: Weft) -> None:
    """The proxy counted what went out: in clear, for want of anybody to have an identity there."""
    address = next(row["address"] for row in weft.replicas() if row["name"] == "out-0")
    scrape = f"import urllib.request as r; print(r.urlopen('http://{address}:4191/metrics').read().decode())"
    lines = python(weft, "out", scrape).stdout.splitlines()
    assert any(
        line.startswith("outbound_http_route_request_statuses_total{")
        and 'route_name="egress-fallback"' in line
        and 'http_status="200"' in line
        for line in lines
    )
    opened = 'tcp_open_total{direction="outbound",peer="dst",target_addr="203.0.113.80:7"'
    reason = 'tls="no_identity",no_tls_reason="not_provided_by_service_discovery"'
    assert any(line.startswith(opened) and reason in line for line in lines)


def test_the_mesh_as_a_whole_says_it(elsewhere: Weft, tmp_path: Path) -> None:
    """Requirement: `weft up --egress host` is for workloads that say nothing; `egress: closed` stays closed. When pasta
    ends, that is said, and the way out is made again.
    """
    if not os.access(TUN, os.R_OK | os.W_OK):
        return
    (tmp_path / "mesh.yaml").write_text(mesh(plain="", shut="closed"))
    process = elsewhere.up(tmp_path / "mesh.yaml", "--egress", "host")
    until(lambda: python(elsewhere, "plain", PAGE.format("outside.example")).returncode == 0)
    (pasta,) = pastas(process)
    os.kill(pasta, signal.SIGKILL)
    until(lambda: bool(set(pastas(process)) - {pasta}))
    until(lambda: python(elsewhere, "plain", PAGE.format("outside.example")).returncode == 0)
    assert "Network is unreachable" in python(elsewhere, "shut", PAGE.format("203.0.113.80")).stderr
    elsewhere.run("down")
    assert process.stdout is not None
    assert "the way out to the host's network is closed: pasta has ended; it is tried again" in process.stdout.read()


def pastas(up: subprocess.Popen[str]) -> list[int]:
    """Its processes in the mesh that `up` runs."""
    inside = processes.sharing(processes.first_inside(up.pid)).items()
    return [pid for pid, words in inside if words.split(" ")[0].endswith("pasta")]


def test_a_missing_pasta_is_said_with_what_helps(weft: Weft, tmp_path: Path) -> None:
    """Requirement: `weft up` ends with reason and hint, an edit is refused with them, and `weft check` tells before."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("unshare", "setpriv", "nft", "mount", "sleep", "true"):
        (programs / name).symlink_to(program(name, "util-linux"))
    without = {**environment(), "PATH": str(programs)}
    file = tmp_path / "mesh.yaml"
    file.write_text(mesh(plain="host"))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *arguments]
        return subprocess.run(command, env=without, capture_output=True, text=True, timeout=60, check=False)

    said = run("up", "--mesh", weft.name, str(file))
    assert said.returncode == 1
    assert "the program `pasta` is missing" in said.stderr
    assert "hint: install the package passt" in said.stderr
    found = json.loads(run("check", "--mesh", weft.name, "-o", "json", str(file)).stdout)
    outcomes = {each["name"]: (each["outcome"], each["hint"]) for each in found}
    assert outcomes["`egress: host` works"] == ("warning", "install the package passt")
    assert outcomes["the host's network is reached"] == ("failed", "install the package passt")
