"""What local mode gives to a proxy: its settings, its token, its privileges, and the traffic of its application."""

import json
import os
import signal
from pathlib import Path

import jwt
import pytest
from tests.e2e.mesh import Weft, until

SERVER = "import http.server as h; h.ThreadingHTTPServer(('0.0.0.0', 8080), h.BaseHTTPRequestHandler).serve_forever()"
MESH = f"""
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {{name: web}}
spec:
  command: [python3, -c, "{SERVER}"]
  ports: [{{name: http, port: 8080}}]
  readiness: {{tcpSocket: {{port: 8080}}}}
---
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {{name: client}}
spec: {{command: [sleep, infinity], serviceAccount: asker}}
---
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {{name: stranger, annotations: {{linkerd.io/inject: disabled}}}}
spec: {{command: [sleep, infinity]}}
"""
CONNECT = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
connection.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
print(connection.recv(12))
"""
STAND_IN = Path(__file__).with_name("stand_in_proxy.py")


@pytest.fixture
def meshed(weft: Weft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weft:
    """A mesh with the real control plane and a stand-in for each proxy."""
    monkeypatch.setenv("WEFT_PROXY_BINARY", str(STAND_IN))
    file = tmp_path / "mesh.yaml"
    file.write_text(MESH)
    weft.up(file)
    return weft


def said(weft: Weft, replica: str) -> list[dict[str, object]]:
    """What a replica's stand-in printed."""
    lines = weft.run("logs", replica, "--proxy").stdout.splitlines()
    return [json.loads(line.partition("  ")[2]) for line in lines if "{" in line]


def test_a_proxy_is_given_its_identity_and_no_more_privileges_than_it_needs(meshed: Weft) -> None:
    """Requirement: Linkerd's variables, a token bound to pod and service account, CAP_NET_ADMIN alone."""
    first = said(meshed, "client-0")[0]
    settings, token = first["settings"], first["token"]
    assert isinstance(settings, dict)
    assert settings["LINKERD2_PROXY_IDENTITY_LOCAL_NAME"] == "asker.default.serviceaccount.identity.weft.cluster.local"
    assert settings["LINKERD2_PROXY_POLICY_WORKLOAD"] == '{"ns":"default","pod":"client-0"}'
    assert settings["LINKERD2_PROXY_DESTINATION_SVC_ADDR"] == "198.18.0.2:8086"
    claims = jwt.decode(str(token), options={"verify_signature": False})
    assert claims["sub"] == "system:serviceaccount:default:asker"
    assert claims["aud"] == ["identity.l5d.io"]
    assert claims["kubernetes.io"]["pod"]["name"] == "client-0"
    assert int(str(first["capabilities"]), 16) == 1 << 12


def test_an_application_cannot_read_its_token(meshed: Weft) -> None:
    """Requirement: token, keys and the mesh's socket are out of an application's sight."""
    settings = said(meshed, "client-0")[0]["settings"]
    assert isinstance(settings, dict)
    state = Path(settings["LINKERD2_PROXY_IDENTITY_TOKEN_FILE"]).parents[1]
    assert state.is_dir()
    for path in (state, state / "identity", state / "api.sock"):
        assert meshed.run("exec", "client", "--", "ls", str(path / ".")).returncode != 0


def test_outgoing_connections_reach_the_proxy_with_the_services_address(meshed: Weft) -> None:
    """Requirement: the original destination is the Service's address and port."""
    meshed.run("exec", "client", "--", "python3", "-c", CONNECT, "web", "8080")
    until(lambda: {"port": 4140, "destination": "198.19.0.1:8080"} in said(meshed, "client-0"))


def test_incoming_connections_reach_the_proxy_and_its_marked_ones_the_application(meshed: Weft) -> None:
    """Requirement: what arrives for the application is redirected; what the proxy sends on is not, or it would loop."""
    answer = meshed.run("exec", "stranger", "--", "python3", "-c", CONNECT, "web", "8080")
    assert "HTTP/" in answer.stdout, answer.stderr
    arrivals = [line["destination"] for line in said(meshed, "web-0") if line.get("port") == 4143]
    assert len(arrivals) == 1
    assert str(arrivals[0]).endswith(":8080")


def test_the_control_plane_is_a_workload_of_its_own_and_can_be_killed(meshed: Weft) -> None:
    """Requirement: it runs behind a proxy in namespace weft, and comes back when it dies."""

    def control() -> dict[str, object]:
        return next(row for row in meshed.replicas() if row["name"] == "weft-control-plane-0")

    assert (control()["namespace"], control()["meshed"], control()["ready"]) == ("weft", True, True)
    assert "control plane ready" in meshed.run("logs", "-n", "weft", "weft-control-plane").stdout
    for entry in Path("/proc").iterdir():
        command = entry / "cmdline"
        if entry.name.isdigit() and command.exists() and f"/{meshed.name}/objects" in command.read_text():
            os.kill(int(entry.name), signal.SIGKILL)
    until(lambda: control()["restarts"] == 1 and control()["ready"] is True)
