"""Edits of a running mesh: what goes on with the same process, and what does not."""

from collections.abc import Iterator
from typing import Any

import pytest

from weft.testing import Mesh, wait_until

pytestmark = pytest.mark.e2e
TEXT = """\
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: web}
spec:
  command: [sleep, infinity]
  replicas: 2
  ports: [{name: http, port: 8080}]
---
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: other}
spec: {command: [sleep, infinity]}
"""
ROUTE = """\
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec: {parentRefs: [{kind: Service, name: web, group: "", port: 8080}]}
---
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: web}
spec: {podSelector: {matchLabels: {mesh.weft.dev/workload: web}}, port: http, proxyProtocol: HTTP/1}
"""
WEB = ("web-0", "web-1")


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with Mesh(TEXT, name="edits") as mesh:
        yield mesh


def processes(mesh: Mesh) -> dict[tuple[str, str], Any]:
    """Every process by its replica and which half of it it is."""
    rows = mesh.replicas().items()
    return {(name, half): row[half] for name, row in rows for half in ("pid", "proxy_pid")}


def edited(mesh: Mesh, text: str) -> tuple[set[tuple[str, str]], set[tuple[str, str]], set[tuple[str, str]]]:
    """Which halves an edit replaced, brought and took away."""
    before, applied = processes(mesh), mesh.output().count("the edit is applied")
    mesh.edit(text)
    wait_until(lambda: mesh.output().count("the edit is applied") > applied, "the edit is applied")
    wait_until(lambda: all(row["ready"] for row in mesh.replicas().values()), "everybody is ready again")
    after = processes(mesh)
    both = before.keys() & after.keys()
    replaced = {each for each in both if before[each] != after[each]}
    return replaced, after.keys() - before.keys(), before.keys() - after.keys()


def test_edits_replace_only_what_they_change(mesh: Mesh) -> None:
    """Requirement: routes and policies replace no process, a command only applications, a port only proxies; another
    number of replicas only starts and stops the difference; every other process runs on.
    """
    text = TEXT + ROUTE
    assert edited(mesh, text) == (set(), set(), set())
    text = text.replace("[sleep, infinity]", "[sleep, '98765']", 1)
    assert edited(mesh, text) == ({(name, "pid") for name in WEB}, set(), set())
    text = text.replace("port: 8080}]\n---", "port: 8080}, {port: 8081}]\n---", 1)
    assert edited(mesh, text) == ({(name, "proxy_pid") for name in WEB}, set(), set())
    assert mesh.run("check").returncode == 0
    text = text.replace("replicas: 2", "replicas: 3")
    assert edited(mesh, text) == (set(), {("web-2", "pid"), ("web-2", "proxy_pid")}, set())
    text = text.replace("replicas: 3", "replicas: 1")
    gone = {(name, half) for name in ("web-1", "web-2") for half in ("pid", "proxy_pid")}
    assert edited(mesh, text) == (set(), set(), gone)
