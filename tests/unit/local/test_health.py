"""The gRPC readiness question, put to a real gRPC server."""

import socket
from collections.abc import AsyncIterator

import grpc
import pytest

from weft.local import health


@pytest.fixture
async def server() -> AsyncIterator[int]:
    """A server whose service `up` is SERVING, `down` is not, and that knows no other."""

    async def check(request: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
        name = request[2:].decode()
        if name not in ("", "up", "down"):
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return b"\x08\x02" if name == "down" else b"\x08\x01"

    method = grpc.unary_unary_rpc_method_handler(check)
    serving = grpc.aio.server()
    serving.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": method}),)
    )
    port = serving.add_insecure_port("127.0.0.1:0")
    await serving.start()
    yield port
    await serving.stop(None)


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ("", ""),
        ("up", ""),
        ("down", "health of 'down': the server says that it is not serving"),
        ("unknown", "health of 'unknown': the server refused to answer (does it serve grpc.health.v1.Health?)"),
    ],
)
async def test_only_serving_is_ready(server: int, service: str, said: str) -> None:
    """Requirement: a gRPC readiness probe asks grpc.health.v1; a server that merely listens is not ready."""
    with socket.create_connection(("127.0.0.1", server)) as connection:
        connection.setblocking(False)
        assert await health.serving(connection, "x", service) == said
