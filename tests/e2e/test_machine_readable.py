"""`-o json` and `-o yaml`: whatever a command says, a program can read all that is on its stdout."""

import json
from collections.abc import Iterator

import pytest
import yaml
from tests.unit.cli.test_output import ALL, BY_LINE, WITHOUT

from weft.testing import Mesh, wait_until

pytestmark = pytest.mark.e2e
TEXT = """\
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: web}
spec: {command: [sh, -c, echo begins; sleep infinity], ports: [{name: http, port: 8080}]}
"""
ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec: {parentRefs: [{kind: Service, name: web, group: "", port: 8080}]}
"""
ASKED: dict[str, tuple[tuple[str, ...], str]] = {
    "apply": (("-f", "-"), ROUTE),
    "authz": (("web",), ""),
    "check": ((), ""),
    "describe": (("workload", "web"), ""),
    "diff": (("-f", "-"), ROUTE),
    "edges": ((), ""),
    "get": (("all",), ""),
    "identity": ((), ""),
    "identity rotate-anchors": ((), ""),
    "identity rotate-issuer": ((), ""),
    "logs": (("web",), ""),
    "policy explain": (("web", "web:8080", "GET", "/"), ""),
    "ps": ((), ""),
    "restart": (("web",), ""),
    "scale": (("web", "--replicas", "1"), ""),
    "stat": ((), ""),
    "delete": (("httproute", "web"), ""),
}
"""What each is asked, in an order in which all have an answer."""
APART = {"up", "down", "version", "explain", "identity confirm"}
"""Not about this mesh, or its end: see below, `test_output` and `test_identity_confirm`."""


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with Mesh(TEXT, name="readable") as mesh:
        wait_until(lambda: "begins" in mesh.logs("web-0"), "it has printed something")
        yield mesh


def test_all_of_stdout_is_for_programs(mesh: Mesh) -> None:
    """Requirement: what a command has to say is one list or object; `weft logs` has an object a line. All are asked."""
    assert ASKED.keys() | APART == ALL.keys() - WITHOUT.keys()
    for name, (arguments, stdin) in ASKED.items():
        if name in BY_LINE:
            lines = mesh.run(name, "-o", "json", *arguments).stdout.splitlines()
            assert next(json.loads(line) for line in lines) == {"name": "web-0", "line": "begins"}
            continue
        said = mesh.run(name, "-o", "json", *arguments, stdin=stdin)
        assert said.returncode == 0, (name, said.stdout, said.stderr)
        assert isinstance(json.loads(said.stdout), list | dict), name


def test_yaml_says_the_same(mesh: Mesh) -> None:
    """Requirement: the two forms differ in nothing but their looks."""
    for name in ("describe", "get"):
        by_json, by_yaml = (mesh.run(name, "-o", form, *ASKED[name][0]).stdout for form in ("json", "yaml"))
        assert json.loads(by_json) == yaml.safe_load(by_yaml)


def test_what_a_mesh_refuses_is_for_programs_too(mesh: Mesh) -> None:
    """Requirement: problems of documents are a list of objects with line and code; the exit code says it as well."""
    said = mesh.run("apply", "-o", "json", "-f", "-", stdin=TEXT.replace("command", "comand"))
    assert said.returncode == 1
    assert {(each["line"], each["code"]) for each in json.loads(said.stdout)} >= {(4, "unknown-field")}


def test_beginning_and_end(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Requirement: `up` and `down` say which mesh, `up --validate` what is wrong with a file."""
    mesh = Mesh(TEXT.replace("{name: web}", "{name: web, annotations: {linkerd.io/inject: disabled}}"), name="begins")
    try:
        started = mesh.run("up", "-d", "-o", "json", str(mesh.file))
        assert json.loads(started.stdout) == {"mesh": mesh.name, "result": "started"}
        assert json.loads(mesh.run("down", "-o", "json").stdout) == {"mesh": mesh.name, "result": "stopped"}
    finally:
        mesh.run("down")
        mesh.stop()
    assert json.loads(mesh.run("up", "--validate", "-o", "json", str(mesh.file)).stdout)[0]["code"] == "unreadable"
