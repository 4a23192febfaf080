"""Local mode with real namespaces and processes, without a proxy: what Kubernetes alone would give."""

import json
import os
import signal
import subprocess
import threading
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.e2e.mesh import Weft, until

from weft.testing.processes import first_inside

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ["HOSTNAME"].encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
print("listening", flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""
ASK = """
import sys, urllib.request
for _ in range(int(sys.argv[2])):
    print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())
"""
MESH = """
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: web, annotations: {linkerd.io/inject: disabled}}
spec:
  command: [python3, server.py]
  replicas: 3
  ports: [{name: http, port: 8080}]
  readiness: {httpGet: {port: 8080, path: /}}
  publish: [{port: 8080, listen: "127.0.0.1:PORT"}]
---
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: client, annotations: {linkerd.io/inject: disabled}}
spec: {command: [sleep, infinity]}
"""


@pytest.fixture
def mesh_file(tmp_path: Path) -> Path:
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "ask.py").write_text(ASK)
    file = tmp_path / "mesh.yaml"
    file.write_text(MESH.replace("PORT", str(20000 + os.getpid() % 10000)))
    return file


def asked(weft: Weft, url: str, times: int) -> Counter[str]:
    """Return which replicas answered the client's requests, each on a connection of its own."""
    said = weft.run("exec", "client", "--", "python3", "ask.py", url, str(times))
    assert said.returncode == 0, said.stderr
    return Counter(said.stdout.split())


def in_fabric(up: subprocess.Popen[str]) -> list[str]:
    """A prefix that runs a command on the network that joins the replicas."""
    user = ["--user", "--preserve-credentials"] if os.geteuid() != 0 else []
    return ["nsenter", "--target", str(first_inside(up.pid)), *user, "--net", "--"]


def test_nobody_sees_the_supervisor_leave_its_network(weft: Weft, mesh_file: Path) -> None:
    """Requirement (a defect once: what watches the mesh's network found itself in a replica's now and then): whatever
    the supervisor starts and probes elsewhere, it is on the network that joins the replicas.
    """
    process = weft.up(mesh_file)
    network = Path(f"/proc/{first_inside(process.pid)}/ns/net")
    seen, done = set(), threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(str(network.readlink()))

    with ThreadPoolExecutor(1) as elsewhere:
        watching = elsewhere.submit(watch)
        try:
            for _ in range(20):
                assert weft.run("exec", "client", "--", "true").returncode == 0
        finally:
            done.set()
        watching.result()
    assert len(seen) == 1


def test_the_gateway_stays_where_it_is_when_replicas_come_and_go(weft: Weft, mesh_file: Path) -> None:
    """Requirement (a defect once: names not found for seconds after a replica had gone): the link layer's address of
    the gateway, where names are asked for, is the same for the life of the mesh.
    """
    look = [*in_fabric(weft.up(mesh_file)), "ip", "-json", "link", "show", "weft0"]
    seen = set()
    for replicas in ("3", "1", "3", "1"):
        assert weft.run("scale", "web", "--replicas", replicas).returncode == 0
        until(lambda wanted=int(replicas): len(weft.replicas()) == wanted + 1)
        (link,) = json.loads(subprocess.run(look, capture_output=True, check=True).stdout)
        seen.add(link["address"])
    assert len(seen) == 1


def test_packets_between_replicas_pass_no_chain_of_the_bridge(weft: Weft, mesh_file: Path) -> None:
    """Requirement: the replicas' bridge is a switch also where the host has br_netfilter, as it has with Docker and
    Kubernetes: nothing there filters or tracks what one replica sends to another.
    """
    chain = "table ip hostile {\n chain forward {\n type filter hook forward priority 0; policy drop;\n }\n}\n"
    subprocess.run([*in_fabric(weft.up(mesh_file)), "nft", "-f", "-"], input=chain, text=True, check=True)
    assert asked(weft, "http://web:8080/", 6)


def test_workloads_find_and_reach_each_other(weft: Weft, mesh_file: Path) -> None:
    """Requirement: names as in Kubernetes; one random ready replica per connection; the host reaches published ports.

    Output, exit codes and stdin pass through `exec`, and applications are unprivileged.
    """
    process = weft.up(mesh_file)
    assert set(asked(weft, "http://web:8080/", 60)) == {"web-0", "web-1", "web-2"}
    for name in ("web.default", "web.default.svc", "web.default.svc.cluster.local"):
        assert asked(weft, f"http://{name}:8080/", 1)
    assert weft.run("exec", "client", "--", "getent", "hosts", "example.com").returncode == 2

    port = 20000 + os.getpid() % 10000
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        assert answer.read().decode().startswith("web-")

    assert weft.run("logs", "web").stdout.splitlines() == [f"web-{ordinal}  listening" for ordinal in range(3)]
    said = weft.run("exec", "web-1", "--", "sh", "-c", "cat; echo $HOSTNAME; id -u; exit 7", stdin="hello\n")
    assert (said.stdout.split(), said.returncode) == (["hello", "web-1", "1000"], 7)
    assert weft.run("exec", "web", "--", "nft", "list", "ruleset").returncode != 0

    assert weft.run("down").returncode == 0
    assert process.wait(60) == 0
    assert weft.run("ps").returncode == 1


def test_an_edit_is_applied_and_a_bad_one_is_not(weft: Weft, mesh_file: Path) -> None:
    """Requirement: a new replica count leaves the other replicas running; a bad edit changes nothing."""
    weft.up(mesh_file)
    before = {row["name"]: row["pid"] for row in weft.replicas()}
    good = mesh_file.read_text()
    mesh_file.write_text(good.replace("replicas: 3", "replicas: many"))
    mesh_file.write_text(good.replace("replicas: 3", "replicas: 1"))
    until(lambda: len(weft.replicas()) == 2)
    assert {row["name"]: row["pid"] for row in weft.replicas()} == {
        name: before[name] for name in ("client-0", "web-0")
    }
    assert set(asked(weft, "http://web:8080/", 5)) == {"web-0"}


def test_what_dies_is_started_again(weft: Weft, mesh_file: Path) -> None:
    """Requirement: the supervisor restarts an application that was killed and counts it."""
    weft.up(mesh_file)
    weft.run("exec", "web-0", "--", "pkill", "-9", "-f", "server.py")  # in its own user namespace: only its own kind
    until(lambda: any(row["restarts"] and row["ready"] for row in weft.replicas()))


def test_a_restart_replaces_every_replica_of_a_workload(weft: Weft, mesh_file: Path) -> None:
    """Requirement: `weft restart NAME` restarts its replicas and nothing else, and they are ready afterwards."""
    weft.up(mesh_file)
    before = {row["name"]: row["pid"] for row in weft.replicas()}
    assert weft.run("restart", "web").stdout.split()[::2] == ["default/web-0", "default/web-1", "default/web-2"]
    after = {row["name"]: row["pid"] for row in weft.replicas() if row["ready"]}
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] == after[name]} == {"client-0"}


def test_nothing_is_left_after_kill_9(weft: Weft, mesh_file: Path) -> None:
    """Requirement: when the outer process is killed, the kernel takes all processes and namespaces with it."""
    process = weft.up(mesh_file)
    mine = [pid for pid in processes() if str(mesh_file) in command_line(pid) or in_directory(pid, mesh_file.parent)]
    assert len(mine) > 4
    networks = {network(pid) for pid in mine} - {network(os.getpid()), ""}  # empty: it has ended, or is not ours to see
    assert len(networks) == 5  # four replicas and the fabric
    process.send_signal(signal.SIGKILL)
    until(lambda: not set(mine) & set(processes()))
    assert not networks & {network(pid) for pid in processes()}
    assert weft.run("ps").returncode == 1  # and removes the stale files
    assert weft.run("up", "--validate", str(mesh_file)).returncode == 0


def test_a_bad_file_says_where_and_ends_with_1(weft: Weft, mesh_file: Path) -> None:
    """Requirement: FILE:LINE:COLUMN, the reason and a hint on stderr."""
    mesh_file.write_text(mesh_file.read_text().replace("command:", "comand:", 1))
    said = weft.run("up", str(mesh_file))
    assert said.returncode == 1
    assert f"{mesh_file}:6:" in said.stderr
    assert "did you mean `command`?" in said.stderr


def test_a_missing_proxy_is_said_plainly(weft: Weft, mesh_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requirement: a meshed workload without weft-proxy ends `weft up` with the reason and what to do."""
    monkeypatch.setenv("WEFT_PROXY_BINARY", "/nonexistent/weft-proxy")
    mesh_file.write_text(mesh_file.read_text().replace("linkerd.io/inject: disabled", "linkerd.io/inject: enabled"))
    said = weft.run("up", str(mesh_file))
    assert said.returncode == 1
    assert "/nonexistent/weft-proxy" in said.stderr


def test_stat_lists_unmeshed_workloads_without_numbers(weft: Weft, mesh_file: Path) -> None:
    """Requirement: what has no proxy is listed, and nothing is claimed about it."""
    weft.up(mesh_file)
    rows = json.loads(weft.run("stat", "-o", "json").stdout)
    assert [(row["name"], row["meshed"], row["success"]) for row in rows] == [
        ("client", "0/1", None),
        ("web", "0/3", None),
    ]
    assert weft.run("edges").stdout.split() == ["SRC", "DST", "SRC_NS", "DST_NS", "SECURED", "CLIENT_ID", "SERVER_ID"]


def processes() -> list[int]:
    return [
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and command_line(int(entry.name))
    ]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def in_directory(pid: int, directory: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == directory
    except OSError:
        return False


def network(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return ""
