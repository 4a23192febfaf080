"""The commands about the documents of a running mesh, and its logs; replicas without a proxy."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.e2e.mesh import COMMAND, Weft, environment, until

pytestmark = pytest.mark.e2e
MESH = """\
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: web, labels: {app: web}, annotations: {linkerd.io/inject: disabled}}
spec:
  command: [sh, -c, "echo $HOSTNAME begins; sleep infinity"]
  replicas: 2
  ports: [{name: http, port: 8080}]
---
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: client, annotations: {linkerd.io/inject: disabled}}
spec: {command: [sleep, infinity]}
"""
ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: front}
spec:
  parentRefs: [{name: web, kind: Service, group: "", port: 8080}]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "route.yaml").write_text(ROUTE)
    path = tmp_path / "mesh.yaml"
    path.write_text(MESH)
    return path


def test_documents_of_a_running_mesh_are_looked_at_and_changed(weft: Weft, file: Path) -> None:
    """Requirement: get, describe, diff, apply, scale and delete do what kubectl's do; a route restarts nothing."""
    weft.up(file)
    before = {row["name"]: row["pid"] for row in weft.replicas()}
    assert weft.run("get", "wl", "-o", "name").stdout.split() == [
        "workload.mesh.weft.dev/client",
        "workload.mesh.weft.dev/web",
    ]
    service = yaml.safe_load(weft.run("get", "svc/web", "-o", "yaml").stdout)
    assert service["spec"]["clusterIP"] == "198.19.0.1"
    pods = json.loads(weft.run("get", "pods", "-o", "json").stdout)
    assert [pod["metadata"]["name"] for pod in pods["items"]] == ["client-0", "web-0", "web-1"]

    compared = weft.run("diff", "-f", "route.yaml")
    assert (compared.returncode, "+kind: HTTPRoute" in compared.stdout) == (1, True)
    assert weft.run("apply", "-f", "route.yaml").stdout == "HTTPRoute/default/front created\n"
    assert weft.run("diff", "-f", "route.yaml").returncode == 0
    described = weft.run("describe", "svc", "web").stdout
    assert f"httproute.gateway.networking.k8s.io/front  {file.parent / 'route.yaml'}:1" in described
    assert {row["name"]: row["pid"] for row in weft.replicas()} == before

    assert weft.run("scale", "web", "--replicas", "1").returncode == 0
    fewer = {name: before[name] for name in ("client-0", "web-0")}
    until(lambda: {row["name"]: row["pid"] for row in weft.replicas()} == fewer)
    assert weft.run("delete", "httproute", "front").returncode == 0
    assert weft.run("get", "all", "-o", "name").stdout.count("httproute") == 0
    refused = weft.run("apply", "-f", "-", stdin="kind: Servce\napiVersion: v1\n")
    assert (refused.returncode, ":1:1: no kind is called" in refused.stderr) == (1, True)
    made = weft.run("delete", "pod", "web-0")
    assert (made.returncode, "made by local mode" in made.stderr) == (1, True)


def test_logs_of_several_workloads_are_followed_over_restarts(weft: Weft, file: Path) -> None:
    """Requirement: lines carry the name of their replica, no colours but on a terminal, and go on after a restart."""
    weft.up(file)
    command = [*COMMAND, "logs", "--mesh", weft.name, "-f", "web", "client"]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        try:
            lines = {following.stdout.readline() for _ in range(2)}
            assert lines == {"web-0  web-0 begins\n", "web-1  web-1 begins\n"}
            assert weft.run("restart", "web-1").returncode == 0
            assert following.stdout.readline() == "web-1  web-1 begins\n"
        finally:
            following.terminate()
    last = [json.loads(line) for line in weft.run("logs", "-o", "json", "--tail", "1", "web").stdout.splitlines()]
    assert last == [{"name": f"web-{index}", "line": f"web-{index} begins"} for index in range(2)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_names_are_completed(weft: Weft, file: Path, shell: str) -> None:
    """Requirement: each shell gets a script, and what it asks is answered with the names of the running mesh."""
    script = weft.run("completion", shell, mesh=False)
    assert (script.returncode, "_WEFT_COMPLETE" in script.stdout) == (0, True)
    weft.up(file)
    words = ["weft", "logs", "--mesh", weft.name, "w"]
    asked = {
        "_WEFT_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": "w" if shell == "fish" else "4",
    }
    said = subprocess.run([*COMMAND], env={**environment(), **asked}, capture_output=True, text=True, check=True)
    found = [name for name in ("web", "web-0", "web-1", "client") if name in said.stdout.replace(",", "\n").split()]
    assert found == ["web", "web-0", "web-1"]


def test_validating_says_problems_as_data(weft: Weft, file: Path) -> None:
    """Requirement: exit code 1, and each problem with all its parts; nothing is started."""
    file.write_text(MESH.replace("replicas: 2", "replica: 2"))
    said = weft.run("up", "--validate", "-o", "json", str(file))
    assert said.returncode == 1
    assert json.loads(said.stdout) == [
        {
            "file": str(file),
            "line": 6,
            "column": 3,
            "code": "unknown-field",
            "reason": "`spec.replica` is not a field",
            "hint": "did you mean `replicas`?",
        }
    ]
    assert not Path(f"/run/weft/{weft.name}").exists()
