"""gRPC's own interoperability cases through two proxies: grpc-go's server, and the clients of three languages.

grpc-go's client is the published one; those of grpcio and grpc-js are a few lines of ours around the ordinary library.
Left out are the cases that need credentials from outside, and `pick_first_unary`, which grpc-go's own server does not
answer, with or without a mesh. It has no compression either.
"""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.e2e import peers
from tests.e2e.applications import FILES, Python, ask, idle, text

from weft.demo import build, interpreter
from weft.testing import Mesh

pytestmark = pytest.mark.e2e
PORT = 8080
COMMON = [
    "empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
    "timeout_on_sleeping_server", "cancel_after_begin", "cancel_after_first_response", "status_code_and_message",
    "special_status_message", "custom_metadata", "unimplemented_method", "unimplemented_service",
]  # fmt: skip
GO = [*COMMON, "orca_per_rpc", "orca_oob", "rpc_soak", "channel_soak"]
OURS = [*COMMON, "concurrent_large_unary"]
LOAD_REPORTS = '--service_config_json={"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}'
"""The cases about load reports need the client to listen for them."""


@pytest.fixture(scope="module")
def mesh(python: Python) -> Iterator[Mesh]:
    server = {
        "apiVersion": "mesh.weft.dev/v1alpha1",
        "kind": "Workload",
        "metadata": {"name": "server"},
        "spec": {
            "command": ["./grpc-go-server", f"--port={PORT}"],
            "ports": [{"port": PORT}],
            "readiness": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        },
    }
    mesh = Mesh(text(server, idle("client")), [*FILES, peers.SOURCES / "interop.proto"], "interop")
    peers.put(mesh, "grpc-go-client", "grpc-go-server", "grpc-js")
    generate = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        "-I.",
        "--python_out=.",
        "--grpc_python_out=.",
        "interop.proto",
    ]
    subprocess.run(generate, cwd=mesh.directory, check=True)
    with mesh:
        yield mesh


@pytest.mark.parametrize("case", GO)
def test_grpc_go(mesh: Mesh, case: str) -> None:
    """Requirement: every case of grpc-go's interoperability client passes."""
    where = ["--server_host=server", f"--server_port={PORT}", "--soak_iterations=40", "--soak_num_threads=4"]
    mesh.exec("client-0", "./grpc-go-client", f"--test_case={case}", LOAD_REPORTS, *where)


@pytest.fixture(scope="module")
def grpcio(mesh: Mesh, python: Python) -> dict[str, str]:
    came: dict[str, str] = ask(mesh, python, "client-0", "interop.py", f"server:{PORT}")
    return came


@pytest.mark.parametrize("case", OURS)
def test_grpcio(grpcio: dict[str, str], case: str) -> None:
    """Requirement: grpcio's client has every case pass."""
    assert grpcio[case] == "ok"


@pytest.fixture(scope="module")
def grpc_js(mesh: Mesh) -> dict[str, str]:
    node = interpreter.runnable("node", build.cache_folder())
    said = mesh.exec("client-0", node, "grpc-js/interop.js", "interop.proto", f"server:{PORT}")
    came: dict[str, str] = json.loads(said)
    return came


@pytest.mark.parametrize("case", OURS)
def test_grpc_js(grpc_js: dict[str, str], case: str) -> None:
    """Requirement: grpc-js's client has every case pass."""
    assert grpc_js[case] == "ok"
