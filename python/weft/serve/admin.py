"""The admin port: /live, /ready and /metrics for people and probes. GET and HEAD only, one request a connection."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from weft.serve.gauges import Gauges

HEAD_LIMIT = 8192
HEAD_SECONDS = 5.0
AT_ONCE = 64


class Admin:
    """A small HTTP server with a bound on heads, time and connections."""

    def __init__(self, gauges: Gauges, ready: Callable[[], bool]) -> None:
        self._gauges = gauges
        self._ready = ready
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def start(self, host: str, port: int) -> asyncio.Server:
        """Listen; the caller closes what this returns."""
        return await asyncio.start_server(self._serve, host, port, limit=HEAD_LIMIT)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._slots, asyncio.timeout(HEAD_SECONDS):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                writer.write(self._answer(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that says nothing sensible in time gets nothing
        finally:
            writer.close()

    def _answer(self, head: str) -> bytes:
        method, _, rest = head.partition("\r\n")[0].partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        kind = "text/plain"
        if method not in ("GET", "HEAD"):
            status, body = HTTPStatus.METHOD_NOT_ALLOWED, b"GET only\n"
        elif path == "/live":
            status, body = HTTPStatus.OK, b"live\n"
        elif path == "/ready":
            ready = self._ready()
            status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
            body = b"ready\n" if ready else b"not ready\n"
        elif path == "/metrics":
            status, body, kind = HTTPStatus.OK, self._gauges.text(), "text/plain; version=0.0.4; charset=utf-8"
        else:
            status, body = HTTPStatus.NOT_FOUND, b"/live, /ready, /metrics\n"
        lines = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        return f"{lines}connection: close\r\n\r\n".encode() + (b"" if method == "HEAD" else body)
