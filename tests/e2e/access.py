"""The mesh in which policy is tried: documents that grant and take, and clients that hold on while they do."""

import contextlib
import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.e2e.applications import UNMESHED, Python, ask, idle, text

from weft.testing import Mesh, wait_until

GROUP = "policy.linkerd.io"
WEB = "web.default.serviceaccount.identity.weft.cluster.local"
GRPC, HTTP, BYTES = 8080, 8081, 9006
HELD = {"grpc": ("api", GRPC), "upgrade": ("api", HTTP), "bytes": ("echo", BYTES)}
"""What holds on (`apps/held.py`), and where."""
CALLERS = 2
"""Of each kind."""


def document(kind: str, name: str, spec: dict[str, Any], version: str = "v1alpha1") -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/{version}", "kind": kind, "metadata": {"name": name}, "spec": spec}


def server(name: str, port: int, workload: str = "api", **spec: str) -> dict[str, Any]:
    chosen = {"podSelector": {"matchLabels": {"mesh.weft.dev/workload": workload}}, "port": port}
    return document("Server", name, chosen | spec, "v1beta3")


def policy(name: str, kind: str, target: str, *accounts: str) -> dict[str, Any]:
    required = [{"kind": "ServiceAccount", "name": account} for account in accounts]
    target_ref = {"group": GROUP, "kind": kind, "name": target}
    return document("AuthorizationPolicy", name, {"targetRef": target_ref, "requiredAuthenticationRefs": required})


def route(path: str) -> dict[str, Any]:
    parents = [{"group": GROUP, "kind": "Server", "name": "routed"}]
    spec = {"parentRefs": parents, "rules": [{"matches": [{"path": {"value": f"/{path}"}}]}]}
    return document("HTTPRoute", path, spec, "v1beta3")


def workload(python: Python, name: str, script: str, *ports: int, arguments: tuple[int, ...] = ()) -> dict[str, Any]:
    return {
        "apiVersion": "mesh.weft.dev/v1alpha1",
        "kind": "Workload",
        "metadata": {"name": name},
        "spec": {
            "command": list(python.command(script, *arguments)),
            "ports": [{"port": port, "name": f"p{port}"} for port in ports],
            "readiness": {"tcpSocket": {"port": ports[0]}},
        },
    }


class Documents:
    """The mesh file, with the policies that a test changes."""

    def __init__(self, python: Python) -> None:
        self.fixed = [
            workload(python, "api", "server.py", GRPC, HTTP),
            workload(python, "echo", "byte_server.py", BYTES, arguments=(BYTES,)),
            workload(python, "pages", "server.py", HTTP),
            *(idle(name) for name in ("web", "cron")),
            idle("stranger", **UNMESHED),
            server("calls", GRPC),
            server("http", HTTP),
            server("bytes", BYTES, "echo", proxyProtocol="opaque"),
            server("routed", HTTP, "pages"),
            *map(route, ("one", "two", "never")),
        ]

    def text(self, *changing: dict[str, Any]) -> str:
        return text(*self.fixed, *changing)


FOR_WEB = [policy(f"web-{name}", "Server", name, "web") for name in ("calls", "http", "bytes")]


def status(mesh: Mesh, python: Python, replica: str, host: str = "api", port: int = HTTP) -> int:
    return int(ask(mesh, python, replica, "raw.py", "status", host, port)["status"])


@contextlib.contextmanager
def held(mesh: Mesh, python: Python, *arguments: object, replica: str = "web-0") -> Iterator[subprocess.Popen[str]]:
    client = mesh.background(replica, *python.command("held.py", *arguments))
    with client:
        try:
            yield client
        finally:
            client.kill()


def heard(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line of a client that holds on."""
    assert process.stdout
    line = process.stdout.readline()
    assert line, "the client ended without a word"
    said = json.loads(line)
    assert isinstance(said, dict)
    return said


@dataclass(frozen=True)
class Ended:
    """How a stream ended, and how many seconds after whoever took its permission began to."""

    how: str
    after: float


@contextlib.contextmanager
def holding(mesh: Mesh, python: Python, *again: str) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """One client of each kind beside `web-0`; with `again`, each opens another stream whenever it may."""
    with contextlib.ExitStack() as stack:
        yield {kind: stack.enter_context(held(mesh, python, kind, *where, *again)) for kind, where in HELD.items()}


def revoked(clients: dict[str, subprocess.Popen[str]], take: Callable[[], None]) -> dict[str, Ended]:
    """Wait until every client holds a stream open, take all grants by `take`, and see them end."""
    opened = {kind: heard(client)["open"] for kind, client in clients.items()}
    assert opened == {"grpc": "first", "upgrade": "HTTP/1.1 101 Switching Protocols", "bytes": "?bytes"}
    began = time.monotonic()
    take()
    found = {}
    for kind, client in clients.items():
        said = heard(client)
        found[kind] = Ended(said["ended"], said["at"] - began)
    assert found["upgrade"].how == found["bytes"].how == "reset"
    assert found["grpc"].how not in ("in order", "OK", "DEADLINE_EXCEEDED")
    return found


def changes(mesh: Mesh, python: Python, documents: Documents, count: int) -> list[float]:
    """Change `count` times between two states, while everybody asks for everything; nobody may gain by the change.

    In one state `web` may ask for `/one`, in the other `cron` for `/two`. Two documents change at once, a policy and
    the identities that it requires: half of one state and half of the other would let `cron` ask for `/one`, or `web`
    for `/two`. Fails when anybody is let through whom both states forbid, or again after the first refusal. Says how
    many seconds after each change the last of several clients began the first request that was refused by it: nothing
    that it forbids was let through later.
    """
    states = [documents.text(*state) for state in (_state("one", "web"), _state("two", "cron"))]
    may = [("web-0", "/one"), ("cron-0", "/two")]
    asked = ("ask", "pages", HTTP, "/one", "/two", "/never")
    mesh.edit(states[0])
    wait_until(lambda: ask(mesh, python, "web-0", "raw.py", "status", "pages", HTTP, "/one")["status"] == 200, "first")
    delays = []
    with contextlib.ExitStack() as stack:
        clients = [
            (replica, path, stack.enter_context(held(mesh, python, *asked, replica=replica)))
            for replica, path in may * CALLERS
        ]
        for replica, _, client in clients:
            said = [heard(client) for _ in range(3)]
            known = {each["path"]: each["status"] for each in said}
            assert known == {"/one": 200 if replica == "web-0" else 403, "/two": 403, "/never": 403}
        for change in range(1, count + 1):
            began = time.monotonic()
            mesh.edit(states[change % 2])
            delay = 0.0
            for replica, path, client in clients:
                # One line is the whole effect of a change on a client: another would be taken for one of the next.
                said = heard(client)
                opened = (replica, path) == may[change % 2]
                assert (said["path"], said["status"]) == (path, 200 if opened else 403), (change, replica, said)
                delay = delay if opened else max(delay, said["at"] - began)
            delays.append(delay)
        for _, _, client in clients:
            rest, _ = client.communicate("")
            (end,) = rest.splitlines()
            assert json.loads(end)["asked"] > count
    return delays


def _state(path: str, account: str) -> tuple[dict[str, Any], ...]:
    meant = {"identityRefs": [{"kind": "ServiceAccount", "name": account}]}
    required = [{"group": GROUP, "kind": "MeshTLSAuthentication", "name": "meant"}]
    target = {"group": GROUP, "kind": "HTTPRoute", "name": path}
    spec = {"targetRef": target, "requiredAuthenticationRefs": required}
    return document("AuthorizationPolicy", "p", spec), document("MeshTLSAuthentication", "meant", meant)


def told(seconds: Iterable[float]) -> str:
    """Median and worst, for people."""
    values = list(seconds)
    return f"median {statistics.median(values):.3f} s, worst {max(values):.3f} s of {len(values)}"
