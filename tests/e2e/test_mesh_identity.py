"""Who is who in a mesh: identities that servers see, what the wire shows, and who is refused."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e import wire
from tests.e2e.applications import FILES, UNMESHED, Python, ask, idle, text

from weft.testing import Mesh, wait_until

pytestmark = pytest.mark.e2e
CLIENT = "asker.default.serviceaccount.identity.weft.cluster.local"
POLICY = "config.linkerd.io/default-inbound-policy"
POLICIES = {
    "open": "all-unauthenticated",
    "unheard": "all-unauthenticated",
    "guarded": "all-authenticated",
    "closed": "deny",
}
INBOUND_PORT = 4143
CAPTURES = 5
"""Recordings, of which one must have lost nothing."""
MARKER = "/a-marker-that-nobody-else-sends"


@pytest.fixture(scope="module")
def mesh(python: Python) -> Iterator[Mesh]:
    client = idle("client")
    client["spec"]["serviceAccount"] = "asker"
    servers = [python.server(name, **{POLICY: policy}) for name, policy in POLICIES.items()]
    with Mesh(text(*servers, client, idle("stranger", **UNMESHED)), FILES, "identity") as mesh:
        yield mesh


def captured(mesh: Mesh, python: Python, replica: str) -> list[dict[str, Any]]:
    """The TCP streams to and from `replica` while `replica` sends the marker; whole, as one with gaps shows nothing."""
    for _ in range(CAPTURES):
        said = recorded(mesh, python, replica)
        if not said["lost"]:
            break
    assert not said["lost"]
    address = mesh.replicas()[replica]["address"]
    streams = [each | {"bytes": base64.b64decode(each["bytes"])} for each in said["streams"]]
    return [each for each in streams if address in (each["from"], each["to"]) and each["bytes"]]


def recorded(mesh: Mesh, python: Python, replica: str) -> Any:
    """What the recorder says of all replicas while `replica` sends the marker."""
    recorder = mesh.in_fabric(*python.command(str(mesh.directory / "capture.py")))
    assert recorder.stdout
    assert recorder.stdout.readline() == "capturing\n"
    assert ask(mesh, python, replica, "raw.py", "status", "unheard", 8081, MARKER)["status"] == 200
    said, _ = recorder.communicate()
    return json.loads(said)


def test_the_server_sees_the_clients_identity(mesh: Mesh, python: Python) -> None:
    """Requirement: `l5d-client-id` is the client's service account, to HTTP and to gRPC servers alike."""
    answer = json.loads(ask(mesh, python, "client-0", "raw.py", "status", "open", 8081)["body"])
    assert answer["headers"]["l5d-client-id"] == CLIENT
    assert ask(mesh, python, "client-0", "rpc.py", "unary", "open:8080")["trailers"]["x-client"] == CLIENT
    unmeshed = json.loads(ask(mesh, python, "stranger-0", "raw.py", "status", "open", 8081)["body"])
    assert "l5d-client-id" not in unmeshed["headers"]


def test_the_wire_carries_only_tls_1_3(mesh: Mesh, python: Python) -> None:
    """Requirement: between meshed replicas there is TLS 1.3 and nothing in the clear.

    The same request of an unmeshed client shows that the capture would have seen it.
    """
    plain = captured(mesh, python, "stranger-0")
    assert any(MARKER.encode() in each["bytes"] for each in plain)

    server = mesh.replicas()["unheard-0"]["address"]
    streams = [each for each in captured(mesh, python, "client-0") if server in (each["from"], each["to"])]
    assert {each["to_port"] for each in streams if each["to"] == server} == {INBOUND_PORT}
    answers = [each["bytes"] for each in streams if each["from"] == server]
    assert answers
    for stream in streams:
        assert MARKER.encode() not in stream["bytes"]
        assert wire.records(stream["bytes"])
    for answer in answers:
        assert wire.chosen_version(answer) == wire.TLS_13


def test_an_unmeshed_client_is_refused(mesh: Mesh, python: Python) -> None:
    """Requirement: `all-authenticated` answers a client without identity with 403, and counts it."""
    assert ask(mesh, python, "client-0", "raw.py", "status", "guarded", 8081)["status"] == 200
    before = mesh.counted("guarded-0", "inbound_http_authz_deny_total")
    said = ask(mesh, python, "stranger-0", "raw.py", "status", "guarded", 8081)
    assert said["status"] == 403
    assert not [name for name in said["headers"] if name.startswith("l5d-")]  # it is told nothing about the mesh
    wait_until(
        lambda: mesh.counted("guarded-0", "inbound_http_authz_deny_total") == before + 1, "the refusal is counted"
    )


def test_a_meshed_client_is_told_why_it_is_refused(mesh: Mesh, python: Python) -> None:
    """Requirement: a refusal reaches a meshed client in Linkerd's words: 403, or PERMISSION_DENIED for gRPC."""
    said = ask(mesh, python, "client-0", "raw.py", "status", "closed", 8081)
    assert said["status"] == 403
    assert "authorized" in said["headers"]["l5d-proxy-error"]
    assert ask(mesh, python, "client-0", "rpc.py", "refused", "closed:8080") == {"code": "PERMISSION_DENIED"}


def test_identities_are_metrics(mesh: Mesh, python: Python) -> None:
    """Requirement: both proxies count the connection's requests with the other side's identity."""
    ask(mesh, python, "client-0", "raw.py", "status", "open", 8081)
    seen = {"direction": "inbound", "tls": "true", "client_id": CLIENT}
    wait_until(lambda: mesh.counted("open-0", "request_total", seen) > 0, "the server's side counts the client")
    server = {"direction": "outbound", "tls": "true"}
    wait_until(lambda: mesh.counted("client-0", "request_total", server) > 0, "the client's side counts the server")
