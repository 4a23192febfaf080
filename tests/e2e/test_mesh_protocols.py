"""Everything that applications speak, through two proxies: gRPC of all kinds, HTTP/1.1, opaque bytes, upgrades."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.e2e.applications import FILES, Python, ask, idle, text

from weft.testing import Mesh

pytestmark = pytest.mark.e2e
SERVER_PORTS = {"grpc": 8080, "http": 8081, "speaks first": 8082, "half close": 8083}
CLIENT = "client.default.serviceaccount.identity.weft.cluster.local"

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def mesh(python: Python) -> Iterator[Mesh]:
    with Mesh(text(python.server("server"), idle("client")), FILES, "protocols") as mesh:
        yield mesh


@pytest.fixture
def grpc(mesh: Mesh, python: Python) -> Call:
    return lambda kind: ask(mesh, python, "client-0", "rpc.py", kind, "server:8080")


@pytest.fixture
def raw(mesh: Mesh, python: Python) -> Call:
    return lambda kind, port, *more: ask(mesh, python, "client-0", "raw.py", kind, "server", port, *more)


def test_unary(grpc: Call) -> None:
    """Requirement: a unary call arrives with its trailers; the server knows the client's workload by its identity."""
    said = grpc("unary")
    assert (said["answer"], said["code"]) == ("hello", "OK")
    assert said["trailers"]["x-client"] == CLIENT


def test_server_stream(grpc: Call) -> None:
    """Requirement: every message of a server's stream arrives, then its trailers."""
    said = grpc("server_stream")
    assert said["sizes"] == [7] * 5
    assert said["trailers"]["x-count"] == "5"


def test_client_stream(grpc: Call) -> None:
    """Requirement: every message of a client's stream arrives, empty ones as well."""
    assert grpc("client_stream") == {"sizes": [1, 0, 3]}


def test_both_stream(grpc: Call) -> None:
    """Requirement: messages flow both ways at once; none waits for the next or for the end."""
    assert grpc("both_stream") == {"answers": ["message 0", "message 1", "message 2"]}


def test_failure(grpc: Call) -> None:
    """Requirement: the status, its message and the trailers of a failed call are the server's."""
    said = grpc("fail")
    assert (said["code"], said["details"]) == ("ABORTED", "as asked: é")
    assert said["trailers"]["x-why"] == "asked to"


def test_cancellation(grpc: Call) -> None:
    """Requirement: the server sees that the client has cancelled."""
    assert grpc("cancel") == {"first": "waiting", "code": "CANCELLED", "seen": "one"}


def test_deadline(grpc: Call) -> None:
    """Requirement: the client's deadline ends the call on both sides."""
    assert grpc("deadline") == {"code": "DEADLINE_EXCEEDED", "seen": "one"}


def test_large_message(grpc: Call) -> None:
    """Requirement: a message of 4 MiB passes unharmed both ways."""
    assert grpc("large") == {"same": True}


def test_long_streams(grpc: Call) -> None:
    """Requirement: 64 MiB pass each way on one stream: windows are given back as data is taken."""
    assert grpc("flow") == {"received": 64 << 20, "sent": 64 << 20}


def test_keep_alive(raw: Call) -> None:
    """Requirement: one HTTP/1.1 connection carries several requests; headers arrive; a forged identity does not."""
    answers = raw("keep_alive", 8081)["answers"]
    assert [answer["path"] for answer in answers] == ["/0", "/1", "/2"]
    assert all(answer["headers"]["x-odd"] == "Kept" for answer in answers)
    assert all(answer["headers"]["l5d-client-id"] == CLIENT for answer in answers)


def test_chunked(raw: Call) -> None:
    """Requirement: chunked bodies pass both ways."""
    assert raw("chunked", 8081) == {"same": True, "encoding": "chunked"}


def test_upgrade(raw: Call) -> None:
    """Requirement: after `101 Switching Protocols` the connection carries bytes both ways, to its end."""
    said = raw("upgrade", 8081)
    assert said["head"][0].startswith("http/1.1 101")
    assert "upgrade: echo" in said["head"]
    assert said["echoes"] == [True, True]


def test_the_server_speaks_first(raw: Call) -> None:
    """Requirement: on a port that is declared opaque nothing waits for the client's first bytes."""
    assert raw("speaks_first", 8082) == {"banner": "220 who are you?\n", "answer": "250 hello test\n"}


def test_half_close(raw: Call) -> None:
    """Requirement: the client's end of its stream reaches the server, whose answer still comes back."""
    assert raw("half_close", 8083) == {"same": True}
