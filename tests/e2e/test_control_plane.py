"""The control plane as a process, asked by clients that do what they like."""

import json
import select
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.control_plane import documents
from bench.control_plane.http2 import Connection
from bench.control_plane.processes import HOST, ControlPlane

from weft.gen import inbound_pb2

PATIENCE = 30.0
CLIENTS = 1000
"""Named in one policy, so that a message fills more than half of a stream's window."""


def access(turn: int) -> str:
    """A Server, and who may come: other names at each turn."""
    names = "".join(f"    - client-{number}-at-turn-{turn}.example.com\n" for number in range(CLIENTS))
    where = f"metadata:\n  name: clients\n  namespace: {documents.NAMESPACE}\n"
    return f"""\
{documents.server(0, "deny")}---
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
{where}spec:
  targetRef: {{group: policy.linkerd.io, kind: Server, name: {documents.name(0)}}}
  requiredAuthenticationRefs:
    - {{group: policy.linkerd.io, kind: MeshTLSAuthentication, name: clients}}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: MeshTLSAuthentication
{where}spec:
  identities:
{names}"""


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    plane = ControlPlane(tmp_path)
    plane.write("service.yaml", documents.service(0, replicas=1))
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


def watch(plane: ControlPlane, streams: int = 1) -> Connection:
    """Open streams for the port of the one pod."""
    workload = json.dumps({"ns": documents.NAMESPACE, "pod": documents.pod_name(0, 0)})
    asked = inbound_pb2.PortSpec(workload=workload, port=documents.TARGET).SerializeToString()
    path = "/io.linkerd.proxy.inbound.InboundServerPolicies/WatchPort"
    return Connection(HOST, plane.policy, dict.fromkeys(range(streams), (path, asked)))


def messages(connection: Connection, of_turn: int) -> list[bytes]:
    """Read until the policy of a turn has come; all that came."""
    came: list[bytes] = []
    while not came or f"client-0-at-turn-{of_turn}.".encode() not in came[-1]:
        assert select.select([connection.socket], [], [], PATIENCE)[0], f"turn {of_turn} did not come"
        came += [message for _, message in connection.read()]
    return came


def test_who_does_not_read_holds_up_nobody_and_gets_the_newest(plane: ControlPlane) -> None:
    """Requirement: others hear of every change; for a client that stops reading only the newest state waits."""
    turns = 40
    plane.write("access.yaml", access(0))
    quick, slow = watch(plane), watch(plane)
    messages(quick, 0)
    messages(slow, 0)
    for turn in range(1, turns + 1):
        plane.write("access.yaml", access(turn))
        (*_, heard) = messages(quick, turn)
    came = messages(slow, turns)
    assert came[-1] == heard
    assert len(came) <= 5, "a queue was kept for it"
    quick.close()
    slow.close()


def test_thousands_of_streams_that_come_at_once_are_served(plane: ControlPlane) -> None:
    """Requirement: after a restart every proxy comes at once; none is refused because others wait."""
    streams = 4000
    connection = watch(plane, streams)
    served: set[int] = set()
    while len(served) < streams:
        assert select.select([connection.socket], [], [], PATIENCE)[0], f"only {len(served)} were served"
        served |= {number for number, _ in connection.read()}
    connection.close()
