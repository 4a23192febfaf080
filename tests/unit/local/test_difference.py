"""What an edit starts, stops and replaces: as little as it can."""

from collections.abc import Callable
from typing import Any

import pytest

from weft.local import difference
from weft.local.plan import Plan

VOTING = ("default/voting-0", "default/voting-1")
CRON = ("default/cron-0",)
PORT = "ports: [{name: grpc, port: 8080}]"
OF_VOTING, OF_CRON = "labels: {app: voting}", "serviceAccount: worker"
INJECT = "annotations: {linkerd.io/inject: disabled}"


def annotated(name: str, value: str) -> tuple[str, str]:
    return OF_VOTING, f"{OF_VOTING}, annotations: {{{name}: '{value}'}}"


EDITS = {
    "nothing": ("voting", "voting", {}),
    "a label": ("app: voting", "app: vote", {}),
    "an annotation for others": (*annotated("config.linkerd.io/opaque-ports", "8080"), {}),
    "more replicas": ("replicas: 2", "replicas: 4", {"start": ("default/voting-2", "default/voting-3")}),
    "fewer replicas": ("replicas: 2", "replicas: 1", {"stop": ("default/voting-1",)}),
    "none": ("replicas: 2", "replicas: 0", {"stop": VOTING}),
    "the command": ("[python3, voting.py]", "[python3, vote.py]", {"application": VOTING}),
    "a variable": (PORT, f"{PORT}\n  env: {{A: b}}", {"application": VOTING}),
    "the directory": ("workingDir: jobs", "workingDir: .", {"application": CRON}),
    "a job": (OF_CRON, f"{OF_CRON}, restart: never", {"application": CRON}),
    "a port": ("port: 8080}]\n  publish", "port: 8080}, {port: 8081}]\n  publish", {"proxy": VOTING}),
    "the service account": (PORT, f"{PORT}\n  serviceAccount: other", {"proxy": VOTING}),
    "a setting of the proxy": (*annotated("config.linkerd.io/proxy-log-level", "debug"), {"proxy": VOTING}),
    "a port of a workload without a proxy": (OF_CRON, f"{OF_CRON}, ports: [{{port: 1}}]", {"adjust": CRON}),
    "command and port": (
        "[python3, voting.py]\n  replicas: 2\n  ports: [",
        "[python3, vote.py]\n  replicas: 2\n  ports: [{port: 1}, ",
        {"restart": VOTING},
    ),
    "a proxy where there was none": (INJECT, "annotations: {}", {"restart": CRON}),
    "skipped ports": (*annotated("config.linkerd.io/skip-inbound-ports", "25"), {"adjust": VOTING}),
    "readiness": (OF_CRON, f"{OF_CRON}, readiness: {{exec: {{command: [x]}}}}", {"adjust": CRON}),
    "liveness": (OF_CRON, f"{OF_CRON}, liveness: {{exec: {{command: [x]}}}}", {"adjust": CRON}),
    "dependencies": (OF_CRON, f"{OF_CRON}, dependsOn: [voting]", {"adjust": CRON}),
    "the way out": (OF_CRON, f"{OF_CRON}, egress: host", {"adjust": CRON}),
    "where it is published": ("9000", "9001", {"close": (("127.0.0.1", 9000),), "open": (("127.0.0.1", 9001),)}),
}
PARTS = ("stop", "start", "restart", "application", "proxy", "adjust", "close", "open")


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_replaces_only_what_it_changes(what: str, mesh: str, planned: Callable[..., Plan]) -> None:
    """Requirement: routes, labels and probes restart nothing, a command only applications, a port only proxies, another
    number of replicas only the difference; what is published moves without a restart.
    """
    old, new, expected = EDITS[what]
    assert old in mesh
    before = planned(mesh)
    change = difference.between(before, planned(mesh.replace(old, new, 1), before))
    found: dict[str, Any] = {name: getattr(change, name) for name in PARTS if getattr(change, name)}
    assert found == expected
    assert bool(change) == (what != "nothing")


def test_a_route_restarts_nothing(mesh: str, planned: Callable[..., Plan]) -> None:
    """Requirement: only the control plane is told of documents that are not Workloads."""
    route = """
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: voting}
spec: {parentRefs: [{kind: Service, name: voting, group: "", port: 8080}]}
"""
    before = planned(mesh)
    change = difference.between(before, planned(mesh + route, before))
    assert change.objects_changed
    assert not [name for name in PARTS if getattr(change, name)]


def test_a_published_port_follows_its_workload(mesh: str, planned: Callable[..., Plan]) -> None:
    """Requirement (a defect once: the address went on leading to the old port): the same address for another port."""
    text = mesh.replace("port: 8080}]\n  publish", "port: 8080}, {port: 8081}]\n  publish")
    before = planned(text)
    change = difference.between(before, planned(text.replace("publish: [{port: 8080", "publish: [{port: 8081"), before))
    assert (change.close, change.open) == ((("127.0.0.1", 9000),), (("127.0.0.1", 9000),))
