"""Long streams through two proxies (`apps/streams.py`): few bytes in every test run, many in the soak."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e import memory, software
from tests.e2e.applications import FILES, Python, idle, text

from weft.testing import Mesh

MIB = 1 << 20
TRANSPORTS = ("opaque", "http", "grpc")
BOUND_MB = 16.0
"""What one stream may make a proxy hold: its windows and buffers are 1 MiB each way, the rest is the allocator's."""


@contextmanager
def mesh(python: Python) -> Iterator[Mesh]:
    server = software.server("server", python.command("streams.py", "serve"), 8080, 8081, 8082)
    with Mesh(text(server, idle("client")), FILES, "streams") as mesh:
        yield mesh


def carry(mesh: Mesh, python: Python, transport: str, size: int, pause: float = 0.0) -> None:
    """Send `size` bytes each way at once, both readers stopping for `pause` seconds.

    All must arrive as it was sent, and neither proxy may hold more than a bounded part of it.
    """
    asked = {"up": size, "down": size, "pause": pause}
    with memory.watched(mesh, "client-0", "server-0") as proxies:
        said = software.said(mesh, "client-0", *python.command("streams.py", transport, "server", json.dumps(asked)))
    for side in ("client", "server"):
        assert said[side]["wrong"] is None, said
        assert (said[side]["sent"], said[side]["received"]) == (size, size), said
        if pause:
            assert said[side]["stood"] > pause / 2, f"the sender was not slowed down: {said}"
    report(transport, size, said, proxies)
    for name, each in proxies.items():
        assert each.growth < BOUND_MB, f"the proxy of {name} grew by {each.growth:.0f} MB"


def queue(mesh: Mesh, python: Python, count: int, size: int) -> None:
    """So many downloads of `size` bytes, all begun before the first is read."""
    asked = {"count": count, "down": size}
    said = software.said(mesh, "client-0", *python.command("streams.py", "queue", "server", json.dumps(asked)))
    assert said == [{"received": size, "wrong": None}] * count


def steady(mesh: Mesh, python: Python, seconds: float) -> None:
    """One gRPC stream that is used all the time for so long; nothing is lost, and the proxies do not grow."""
    asked = {"seconds": seconds}
    with memory.watched(mesh, "client-0", "server-0") as proxies:
        said = software.said(mesh, "client-0", *python.command("streams.py", "steady", "server", json.dumps(asked)))
    assert (said["wrong"], said["code"]) == (None, "OK")
    assert said["count"] > seconds, "a message each second is the least of a steady stream"
    report("steady", said["count"], said, proxies)
    for name, each in proxies.items():
        assert each.growth < BOUND_MB, f"the proxy of {name} grew by {each.growth:.0f} MB"


def report(what: str, size: int, said: dict[str, Any], proxies: dict[str, memory.Memory]) -> None:
    grown = ", ".join(f"{name} {each.first:.1f} -> {each.most:.1f} MB" for name, each in proxies.items())
    print(f"{what} {size}: {grown}; {said}")
