"""WebSockets through two proxies, between implementations that we did not write: each client with each server."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e import software
from tests.e2e.applications import FILES, Python, ask, idle, text

from weft.testing import Mesh

pytestmark = pytest.mark.e2e
SERVERS = ("websockets", "ws", "uvicorn")


@pytest.fixture(scope="module")
def mesh(python: Python) -> Iterator[Mesh]:
    node = software.node()
    servers = {
        "websockets": python.command("websocket.py", "serve", 8080),
        "uvicorn": python.command("websocket.py", "uvicorn", 8080),
        "ws": (node, "websocket.js", "serve", "8080"),
    }
    documents = [software.server(name, command) for name, command in servers.items()]
    mesh = Mesh(text(*documents, idle("client")), [*FILES, software.SCRIPTS / "websocket.js"], "websockets")
    software.add_node_packages(mesh.directory)
    software.add_python_packages(mesh.directory, "websockets", "uvicorn", "h11", "click")
    with mesh:
        yield mesh


@pytest.fixture(params=["websockets", "ws"])
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def conversation(mesh: Mesh, python: Python, client: str, server: str, *options: str) -> Any:
    """What a client of this kind found out about a server of that kind."""
    url = f"ws://{server}:8080/"
    if client == "ws":
        return software.said(mesh, "client-0", software.node(), "websocket.js", "ask", url, *options)
    return ask(mesh, python, "client-0", "websocket.py", "ask", url, *options)


@pytest.mark.parametrize("compression", ["deflate", "plain"])
@pytest.mark.parametrize("server", SERVERS)
def test_a_conversation(mesh: Mesh, python: Python, client: str, server: str, compression: str) -> None:
    """Requirement: text, empty, binary and large messages, pings both ways, and the negotiated extension and protocol
    are what they are without a mesh; a close code with its reason reaches the other side, whichever side closes; a
    connection that is dropped is not taken for one that was closed.
    """
    said = conversation(mesh, python, client, server, compression)
    assert ("permessage-deflate" in said["extensions"]) == (compression == "deflate")
    assert said["protocol"] == "chat"
    assert (said["text"], said["empty"]) == ("grüße 🜁", "")
    assert said["binary"] is True
    assert said["large"] is True
    assert said["pong"] == "from the client"
    assert said["pinged"] == ("ping me" if server == "uvicorn" else "pong from the server")
    assert said["own"] == [4001, "done: é"]
    assert said["close me"] == [4002, "as asked: é"]
    assert said["drop me"][0] == 1006
    assert [4001, "done: é"] in said["seen"]
    # uvicorn says 1005 where no close was received, whatever the reason.
    assert (1005 if server == "uvicorn" else 1006) in [code for code, _ in said["seen"]]
