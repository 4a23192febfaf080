"""Local mode where the machine says no: no room, no rights, no port; and where workloads behave badly."""

import json
import os
import shlex
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.e2e.mesh import COMMAND, Weft, environment, until

from weft.local import state

pytestmark = pytest.mark.e2e
WORKLOAD = """\
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: NAME, annotations: {linkerd.io/inject: disabled}}
spec:
"""
CALM = WORKLOAD.replace("NAME", "calm") + "  command: [sleep, infinity]\n"
SMALL = 1000
"""Bytes: too few for a file that the control plane cannot begin without."""


def elsewhere(prefix: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*prefix, *COMMAND, *arguments]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def shallow() -> Iterator[Path]:
    """A directory near the root: the path of a socket is short."""
    with tempfile.TemporaryDirectory(prefix="weft-", dir="/tmp") as directory:
        yield Path(directory)


def test_no_room_for_a_mesh_is_said_plainly(weft: Weft, tmp_path: Path) -> None:
    """Requirement (a defect once: a traceback, and a directory left): where no file can be written `weft up` ends with
    reason and hint, and leaves nothing.
    """
    (tmp_path / "mesh.yaml").write_text(CALM)
    said = elsewhere(["prlimit", "--fsize=0"], "up", "--mesh", weft.name, str(tmp_path / "mesh.yaml"))
    assert said.returncode == 1
    directory = state.find(weft.name).root
    assert f"{directory} cannot be made: File too large" in said.stderr
    assert "hint: make room there" in said.stderr
    assert not [each for each in directory.parent.iterdir() if weft.name in each.name]


def test_a_mesh_that_cannot_begin_can_be_stopped(weft: Weft, tmp_path: Path) -> None:
    """Requirement (a defect once: it waited for its control plane for ever): a mesh whose control plane does not come
    up, here as there is no room for its files, ends when it is told to.
    """
    (tmp_path / "mesh.yaml").write_text(CALM.replace("linkerd.io/inject: disabled", "linkerd.io/inject: enabled"))
    weft.where = ("prlimit", f"--fsize={SMALL}")
    process = weft.start(tmp_path / "mesh.yaml")
    assert process.stdout is not None
    assert process.stdout.readline() == "weft: weft/weft-control-plane-0: [Errno 27] File too large\n"
    process.terminate()
    assert process.wait(60) == 0


def test_two_meshes_side_by_side(weft: Weft, tmp_path: Path) -> None:
    """Requirement: each has names, addresses and commands of its own, and one ends without the other."""
    other = Weft(f"{weft.name}-b", tmp_path, weft.started)
    (tmp_path / "a.yaml").write_text(CALM)
    (tmp_path / "b.yaml").write_text(CALM.replace("calm", "other"))
    weft.up(tmp_path / "a.yaml")
    other.up(tmp_path / "b.yaml")
    assert [row["name"] for row in weft.replicas()] == ["calm-0"]
    assert [row["name"] for row in other.replicas()] == ["other-0"]
    assert other.replicas()[0]["address"] == weft.replicas()[0]["address"]
    assert "is already running" in elsewhere([], "up", "--mesh", weft.name, str(tmp_path / "b.yaml")).stderr
    assert weft.run("down").returncode == 0
    assert other.replicas()[0]["ready"] is True


def test_a_taken_port_is_said_and_the_mesh_runs_without_it(weft: Weft, tmp_path: Path) -> None:
    """Requirement: address, port and the system's reason; `weft check` finds it before."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        publish = f'  ports: [{{port: 80}}]\n  publish: [{{port: 80, listen: "127.0.0.1:{port}"}}]\n'
        (tmp_path / "mesh.yaml").write_text(CALM + publish)
        checked = json.loads(weft.run("check", "-o", "json", str(tmp_path / "mesh.yaml")).stdout)
        assert [each["outcome"] for each in checked if each["name"] == "published ports are free"] == ["failed"]
        process = weft.up(tmp_path / "mesh.yaml")
        weft.run("down")
        assert process.stdout is not None
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in process.stdout.read()


def test_missing_rights_are_said_with_what_helps(tmp_path: Path) -> None:
    """Requirement: without the right to make namespaces `weft up` ends with reason and hint, like `weft check`."""
    (tmp_path / "mesh.yaml").write_text(CALM)
    as_root = [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user"]
    powerless = [*as_root, "setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    said = elsewhere(powerless, "up", "--mesh", "powerless", str(tmp_path / "mesh.yaml"))
    assert said.returncode == 1
    assert "the kernel refuses namespaces" in said.stderr
    assert "hint: run as root" in said.stderr
    checked = elsewhere(powerless, "check", "--mesh", "powerless")
    assert checked.returncode == 1
    assert "× namespaces work: the kernel refuses namespaces" in checked.stdout


def test_a_full_disk_stops_logs_and_nothing_else(tmp_path: Path, weft: Weft, shallow: Path) -> None:
    """Requirement: what a workload prints is lost, with the number of bytes, while the mesh answers and is ended."""
    noisy = (
        WORKLOAD.replace("NAME", "noisy") + '  command: [sh, -c, "head -c 3000000 /dev/zero; echo; sleep infinity"]\n'
    )
    (tmp_path / "mesh.yaml").write_text(f"{noisy}---\n{CALM}")
    normal = os.geteuid() != 0
    disk = f"{shallow}/weft" if normal else "/run/weft"
    up = [*COMMAND, "up", "-d", "--mesh", weft.name, str(tmp_path / "mesh.yaml")]
    steps = [
        shlex.join(up),
        f"until df --output=avail {disk} | grep -qx ' *0'; do sleep 0.1; done",
        shlex.join([*COMMAND, "exec", "--mesh", weft.name, "calm", "--", "echo", "still here"]),
        shlex.join([*COMMAND, "down", "--mesh", weft.name]),
        f"ls -A {disk}",
    ]
    inner = ["sh", "-ec", "\n".join(steps)]
    if normal:  # may mount where it is root in name, and then is the same normal user again
        inner = ["unshare", "--user", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}", *inner]
    mount = f"mkdir -p {disk} && mount -t tmpfs -o size=1m,mode=700 none {disk} && exec {shlex.join(inner)}"
    user = ["--user", "--map-root-user"] if normal else []
    script = ["unshare", *user, "--mount", "--propagation", "private", "sh", "-ec", mount]
    where = {**environment(), "XDG_RUNTIME_DIR": str(shallow)}
    said = subprocess.run(script, env=where, capture_output=True, text=True, timeout=100, check=False)
    assert said.stdout.splitlines() == ["still here", f"mesh {weft.name} is stopped"], said.stderr


def test_a_workload_that_forks_and_floods_its_log_harms_nobody(weft: Weft, tmp_path: Path) -> None:
    """Requirement: others are ready and reached, the log is bounded, and every process ends with the mesh."""
    flood = '  command: [sh, -c, "for i in 1 2 3 4; do yes $i & done; setsid sleep 98765 & setsid yes x"]\n'
    (tmp_path / "mesh.yaml").write_text(f"{WORKLOAD.replace('NAME', 'flood')}{flood}---\n{CALM}")
    weft.up(tmp_path / "mesh.yaml")
    logs = state.find(weft.name).logs
    until(lambda: (logs / "default.flood-0.app.1.log").exists())
    assert sum(file.stat().st_size for file in logs.iterdir()) <= 2 * 8 * 1024 * 1024 + 4096
    assert weft.run("exec", "calm", "--", "true").returncode == 0
    assert weft.run("logs", "flood", "--tail", "1").returncode == 0
    assert weft.run("down").returncode == 0
    assert not [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and is_left(entry)]


def is_left(process: Path) -> bool:
    try:
        return (process / "cmdline").read_bytes() == b"sleep\x0098765\x00"
    except OSError:
        return False


def test_a_directory_with_too_long_a_name_is_said(tmp_path: Path) -> None:
    """Requirement (a traceback once): the kernel limits a socket's path; `weft up` says so, and what helps."""
    (tmp_path / "mesh.yaml").write_text(CALM)
    said = elsewhere([], "up", "--mesh", "m" * 100, str(tmp_path / "mesh.yaml"))
    assert said.returncode == 1
    assert "is too long for a socket" in said.stderr
    assert "hint: a shorter name for the mesh" in said.stderr


@pytest.mark.parametrize("inject", ["disabled", "enabled"])
def test_the_hosts_loopback_is_reached_by_name(weft: Weft, tmp_path: Path, inject: str) -> None:
    """Requirement: `host.weft.internal` leads to 127.0.0.1 of the host, with a proxy or not; a closed port refuses."""
    (tmp_path / "mesh.yaml").write_text(CALM.replace("disabled", inject))
    weft.up(tmp_path / "mesh.yaml")
    talk = "import socket, sys; c = socket.create_connection(('host.weft.internal', int(sys.argv[1])), 20)"
    talk += "; c.sendall(b'hi'); c.shutdown(1); print(c.makefile().read())"
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as answering:
        listener.settimeout(30)
        port = listener.getsockname()[1]

        def answer() -> bytes:
            connection, _ = listener.accept()
            with connection:
                said = connection.makefile("rb").read()
                connection.sendall(b"heard " + said)
                return said

        heard = answering.submit(answer)
        said = weft.run("exec", "calm", "--", "python3", "-c", talk, str(port))
        assert said.stdout == "heard hi\n", said.stderr + weft.run("logs", "calm", "--proxy").stdout
        assert heard.result(20) == b"hi"
    assert weft.run("exec", "calm", "--", "python3", "-c", talk, str(port)).returncode != 0
