"""A small mesh file, and the plan that a mesh file gives."""

from collections.abc import Callable
from pathlib import Path

import pytest

from weft.local import plan, reading
from weft.local.plan import Plan

Planned = Callable[..., Plan]
MESH = """
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: voting, labels: {app: voting}}
spec:
  command: [python3, voting.py]
  replicas: 2
  ports: [{name: grpc, port: 8080}]
  publish: [{port: 8080, listen: "127.0.0.1:9000"}]
---
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: cron, annotations: {linkerd.io/inject: disabled}}
spec: {command: [sleep, "9"], serviceAccount: worker, workingDir: jobs}
"""


@pytest.fixture
def mesh() -> str:
    """Return two workloads: `voting` with two meshed replicas, `cron` without a proxy."""
    return MESH


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    """Return a function from text, the plan before and whether there is IPv6, to the plan."""

    def make(text: str, before: Plan | None = None, dual: bool = True) -> Plan:
        file = tmp_path / "mesh.yaml"
        file.write_text(text)
        documents = reading.read([file])
        assert not isinstance(documents, list), documents
        return plan.make(documents, before.addresses if before else None, dual)

    return make
