"""What HTTP/2 can carry, through two proxies, between a server and clients of Node's own HTTP/2 module."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.e2e import peers, software
from tests.e2e.applications import FOLDER, idle, text

from weft.demo import build, interpreter
from weft.testing import Mesh

pytestmark = pytest.mark.e2e
PORT = 8080
CLIENT = "client.default.serviceaccount.identity.weft.cluster.local"

Ask = Callable[[str], Any]


@pytest.fixture(scope="module")
def node() -> str:
    peers.need("node", "nodejs")
    peers.need("h2load", "nghttp2-client")
    return interpreter.runnable("node", build.cache_folder())


@pytest.fixture(scope="module")
def mesh(node: str) -> Iterator[Mesh]:
    def server(name: str, *limit: str) -> dict[str, Any]:
        return {
            "apiVersion": "mesh.weft.dev/v1alpha1",
            "kind": "Workload",
            "metadata": {"name": name},
            "spec": {
                "command": [node, "http2.js", "serve", str(PORT), *limit],
                "ports": [{"port": PORT}],
                "readiness": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
            },
        }

    leaving = server("leaving")
    # A folder of its own: under a fixed name another user's would be in the way.
    nginx = software.program("nginx", "nginx-light")
    leave = f'here=$PWD; exec {nginx} -p "$(mktemp -d)" -e stderr -c "$here/leaving_nginx.conf"'
    leaving["spec"]["command"] = ["sh", "-c", leave]
    documents = text(server("server"), leaving, idle("client"))
    with Mesh(documents, [peers.SOURCES / "http2.js", FOLDER / "leaving_nginx.conf"], "http2") as mesh:
        yield mesh


@pytest.fixture
def ask(mesh: Mesh, node: str) -> Ask:
    return lambda case: json.loads(mesh.exec("client-0", node, "http2.js", case, "server", str(PORT)))


def test_connect(ask: Ask) -> None:
    """Requirement: CONNECT carries bytes both ways, each piece at once, and the client's end of them to the server."""
    said = ask("connect")
    asked = {"protocol": "", "path": "", "authority": f"server:{PORT}", "client": CLIENT}
    assert said == {"status": 200, "asked": asked}


def test_extended_connect(ask: Ask) -> None:
    """Requirement: a WebSocket over HTTP/2 reaches the server with its protocol and path and carries bytes."""
    said = ask("websocket")
    asked = {"protocol": "websocket", "path": "/chat?room=1", "authority": f"server:{PORT}", "client": CLIENT}
    assert said == {"status": 200, "asked": asked}


def test_refused_connect(ask: Ask) -> None:
    """Requirement: a CONNECT that the server refuses is over with its answer."""
    assert ask("refused") == {"status": 403}


def test_server_ends_first(ask: Ask) -> None:
    """Requirement: after the server has ended its bytes the client's still arrive, to their end."""
    assert ask("last_word") == {"bye": "bye", "heard": "but listen"}


def test_informational(ask: Ask) -> None:
    """Requirement: informational responses pass in order, with their headers, before the final one."""
    said = ask("early_hints")
    assert said == {"statuses": [103, 102, 200], "link": "</style.css>; rel=preload", "body": "page"}


def test_continue(ask: Ask) -> None:
    """Requirement: a client that waits for 100 before it sends its body gets the server's."""
    assert ask("continue_") == {"status": 200, "body": "after 100"}


def test_trailers(ask: Ask) -> None:
    """Requirement: the trailers of the request and of the response arrive."""
    assert ask("trailers") == {"body": "body", "trailers": {"x-sum": "7", "x-theirs": "kept"}}


def test_grpc_web(ask: Ask) -> None:
    """Requirement: gRPC-Web passes over HTTP/2 untouched, in all its content types: its trailers are part of the body
    and stay there, and a proxy does not take it for gRPC.
    """
    body = "\0\0\0\0\x05h\xe9llo\x80\0\0\0\x0fgrpc-status:5\r\n"
    came = {"status": 200, "web": "1", "body": body, "trailers": {}}
    kinds = ("application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text")
    assert ask("grpc_web") == dict.fromkeys(kinds, came)


def test_grpc_timeout(ask: Ask) -> None:
    """Requirement: a client's deadline reaches the server as the client said it."""
    assert ask("grpc_timeout") == {"timeout": "7S", "te": "trailers"}


@pytest.mark.parametrize("body", [[], ["--data=leaving_nginx.conf"]], ids=["without a body", "with a body"])
def test_goaway_under_load(mesh: Mesh, body: list[str]) -> None:
    """Requirement: a server that says GOAWAY after every 50 requests, in the middle of load, costs no request."""
    number = 5000
    said = mesh.exec("client-0", "h2load", "-n", str(number), "-c", "4", "-m", "25", *body, f"http://leaving:{PORT}/")
    assert f"{number} succeeded, 0 failed, 0 errored, 0 timeout" in said, said
