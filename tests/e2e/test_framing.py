"""HTTP/1 framing through the mesh: each stream of the decision table, to the HTTP servers that people use.

Every stream is sent straight to a server without a proxy, to the same server through both proxies, and to the server's
proxy from a client that has none. What the table says is refused must be refused with its status; everything else must
be answered as without the mesh, and understood as the table says.
"""

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests import http1_vectors
from tests.e2e.applications import FOLDER, UNMESHED, Python, idle, text

from weft.demo import build, interpreter
from weft.testing import Mesh

pytestmark = pytest.mark.e2e
SERVERS = ("go", "node", "uvicorn", "nginx")
FILES = [FOLDER / name for name in ("echo.js", "echo_asgi.py", "echo_nginx.conf", "framing.py")]
INSTALL = {"go": "golang-go", "node": "nodejs", "nginx": "nginx-light"}
ROWS = [row.json() for row in http1_vectors.table() if row.kind == "request"]

# Fields of one hop, fields that frame, and fields that a mesh adds: no part of what a request means to its application.
OF_ONE_HOP = {
    "connection", "keep-alive", "proxy-connection", "te", "upgrade", "http2-settings", "transfer-encoding",
    "content-length", "host", "l5d-client-id",
}  # fmt: skip

# Spellings that every recipient has to take (RFC 9112 2.2, 7.1.1; RFC 9110 5.5), some refuse, and a hop writes anew.
# Where a server refuses a whole stream for the fault in its second message, the mesh has answered the first already.
REWRITTEN = {
    "an empty line before the request", "an empty line between", "white space inside extensions",
    "white space around the value", "white space around a length", "white space around the coding",
}  # fmt: skip

Json = dict[str, Any]
Answers = dict[str, list[Json]]


def program(name: str) -> str:
    """A program that everybody may run. Its absence fails the test."""
    try:
        return interpreter.runnable(name, build.cache_folder())
    except FileNotFoundError:
        pytest.fail(f"{name} is missing: install it with apt-get install {INSTALL[name]}")


@pytest.fixture(scope="module")
def go_server(python: Python) -> str:
    """The echo application for net/http, built where everybody may run it."""
    folder = build.cache_folder() / "framing"
    folder.mkdir(exist_ok=True)
    if shutil.which("go") is None:
        program("go")
    command = ["go", "build", "-o", str(folder / "echo-go"), str(FOLDER / "echo.go")]
    done = subprocess.run(command, env=go_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return str(folder / "echo-go")


def go_environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": ""}


@pytest.fixture(scope="module")
def uvicorn(python: Python) -> list[str]:
    """How uvicorn's application is started: its packages are copied to where everybody may read them."""
    packages = build.cache_folder() / "framing" / "packages"
    shutil.rmtree(packages, ignore_errors=True)
    for name in ("uvicorn", "h11", "click", "typing_extensions"):
        for file in importlib.metadata.files(name) or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(str(file.locate()), target)
    path = ":".join(filter(None, [str(packages), python.environment.get("PYTHONPATH")]))
    told = [f"{name}={value}" for name, value in (python.environment | {"PYTHONPATH": path}).items()]
    return ["env", *told, python.program, "echo_asgi.py", "8080"]


@pytest.fixture(scope="module")
def commands(go_server: str, uvicorn: list[str]) -> dict[str, list[str]]:
    node, nginx = program("node"), program("nginx")
    behind = (
        f'here=$PWD; prefix=$(mktemp -d); {node} echo.js 8081 127.0.0.1 & cd "$prefix"; '
        f'exec {nginx} -p "$prefix" -e stderr -c "$here/echo_nginx.conf"'
    )
    return {
        "go": [go_server, "8080"],
        "node": [node, "echo.js", "8080"],
        "uvicorn": uvicorn,
        "nginx": ["sh", "-c", behind],
    }


def server(name: str, command: list[str], annotations: dict[str, str]) -> Json:
    return {
        "apiVersion": "mesh.weft.dev/v1alpha1",
        "kind": "Workload",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "command": command,
            "ports": [{"port": 8080, "name": "http"}],
            "readiness": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        },
    }


@pytest.fixture(scope="module")
def mesh(python: Python, commands: dict[str, list[str]]) -> Iterator[Mesh]:
    meshed = [server(name, command, {}) for name, command in commands.items()]
    plain = [server(f"{name}-plain", command, UNMESHED) for name, command in commands.items()]
    documents = text(*meshed, *plain, idle("client"), idle("outside", **UNMESHED))
    with Mesh(documents, [*FILES, http1_vectors.VECTORS], "framing") as mesh:
        yield mesh


def ask(mesh: Mesh, python: Python, replica: str, suffix: str = "") -> Answers:
    """What the four servers answered to a client beside `replica`, by server."""
    servers = [f"{name}{suffix}:8080" for name in SERVERS]
    said = json.loads(mesh.exec(replica, *python.command("framing.py", http1_vectors.VECTORS.name, *servers)))
    return {name: said[f"{name}{suffix}:8080"] for name in SERVERS}


@pytest.fixture(scope="module")
def without(mesh: Mesh, python: Python) -> Answers:
    return ask(mesh, python, "outside", "-plain")


@pytest.fixture(scope="module")
def outbound(mesh: Mesh, python: Python) -> Answers:
    return ask(mesh, python, "client-0")


@pytest.fixture(scope="module")
def inbound(mesh: Mesh, python: Python) -> Answers:
    return ask(mesh, python, "outside")


def understood(answer: Json, request: Json | None) -> Json | None:
    """What an application said that it understood, less what belongs to one hop; `None` for any other answer."""
    if not answer["headers"].get("content-type", "").startswith("application/json") or not answer["body"]:
        return None
    said: Json = json.loads(answer["body"].encode("latin-1"))
    named = {option.strip().lower() for option in said["headers"].get("connection", "").split(",")}
    if request is not None:
        for name, value in request["headers"]:
            if name == "connection":
                named |= {option.strip().lower() for option in http1_vectors.expand(value).split(",")}
    said["headers"] = {name: value for name, value in said["headers"].items() if name not in OF_ONE_HOP | named}
    said["target"] = same_target(said["target"])
    absolute = re.match(r"\w+://([^/]+)", http1_vectors.expand(request["target"]) if request else "")
    # RFC 9112 3.2.2: with an absolute target, that is the host.
    said["host"] = re.sub(r":(80|443)$", "", (absolute[1] if absolute else said["host"]).lower())
    return said


def same_target(target: str) -> str:
    """The forms that RFC 9110 4.2.3 calls equal, as one."""
    return f"{target}/" if re.fullmatch(r"\w+://[^/?#]+", target) else target


def refused(conversation: Json, at: int) -> bool:
    """Whether the message was not taken: a 4xx or 5xx, or no answer at all."""
    answers = conversation["answers"]
    return at >= len(answers) or answers[at]["status"] >= 400


def differences(row: Json, plain: Json, meshed: Json, name: str) -> list[str]:
    """What is wrong with the answers through the mesh."""
    if row["detected"] != "http1":
        same = [answer["status"] for answer in plain["answers"]] == [answer["status"] for answer in meshed["answers"]]
        return [] if same else [f"passed as bytes and answered otherwise: {brief(plain)} / {brief(meshed)}"]
    wrong = []
    for at, request in enumerate(row["messages"]):
        if refused(plain, at):
            if refused(meshed, at):
                return wrong
            # Taken through the mesh alone: exactly as the table says, and for a reason that is known.
            if row["name"] not in REWRITTEN and not isinstance(row["end"], dict):
                wrong.append(f"message {at}: refused without the mesh: {brief(plain)} / {brief(meshed)}")
            wrong += misunderstood(at, request, meshed["answers"][at], name)
            continue
        if at >= len(meshed["answers"]):
            return [*wrong, f"message {at}: no answer ({meshed['end']}), without the mesh {brief(plain)}"]
        before, after = plain["answers"][at], meshed["answers"][at]
        if (before["status"], understood(before, request)) != (after["status"], understood(after, request)):
            wrong.append(f"message {at}: answered otherwise: {before} / {after}")
        wrong += misunderstood(at, request, after, name)
    if isinstance(row["end"], dict):
        wrong += not_refused(row, meshed)
    elif len(meshed["answers"]) > len(row["messages"]) and not refused(meshed, len(row["messages"])):
        wrong.append(f"an answer too many: {brief(meshed)}")
    return wrong


def misunderstood(at: int, request: Json, answer: Json, name: str) -> list[str]:
    """Where an application understood something else than the table says."""
    said = understood(answer, request)
    if said is None:
        return []
    body = http1_vectors.expand(request["body"]).encode("latin-1")
    meant = [request["method"], len(body), hashlib.sha256(body).hexdigest()]
    found = [said["method"], said["length"], said["digest"]]
    if name in {"go", "node"}:  # the others say the target in a form of their own
        meant.append(same_target(http1_vectors.expand(request["target"])))
        found.append(said["target"])
    return [] if meant == found else [f"message {at}: the table says {meant}, the application {found}"]


def not_refused(row: Json, meshed: Json) -> list[str]:
    at = len(row["messages"])
    status = row["end"]["status"]
    if len(meshed["answers"]) != at + 1 or meshed["answers"][at]["status"] != status:
        return [f"not refused with {status}: {brief(meshed)}"]
    return []


def brief(conversation: Json) -> str:
    statuses = [answer["status"] for answer in conversation["answers"]]
    return f"{statuses} {conversation['end']}"


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("way", ["outbound", "inbound"])
def test_nothing_is_reinterpreted(way: str, name: str, without: Answers, request: pytest.FixtureRequest) -> None:
    """Requirement: through both proxies, and through the inbound one alone, every stream is answered as without the
    mesh and understood as the table says, or refused with the table's status; never reinterpreted.
    """
    through: Answers = request.getfixturevalue(way)
    assert len(ROWS) >= 300
    assert len(through[name]) == len(without[name]) == len(ROWS)
    wrong = [
        f"{row['subject']}: {row['name']}: {difference}"
        for row, plain, meshed in zip(ROWS, without[name], through[name], strict=True)
        for difference in differences(row, plain, meshed, name)
    ]
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong)


@pytest.mark.parametrize("name", SERVERS)
def test_the_servers_serve(name: str, without: Answers) -> None:
    """Requirement: without the mesh each server takes most of what the table takes; else nothing would be compared."""
    taken = [(row, plain) for row, plain in zip(ROWS, without[name], strict=True) if row["end"] == "end"]
    served = [row for row, plain in taken if plain["answers"] and plain["answers"][0]["status"] == 200]
    assert len(served) > len(taken) * 0.7, f"{len(served)} of {len(taken)}"
