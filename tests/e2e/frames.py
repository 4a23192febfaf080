"""HTTP/2 frame by frame, for tests that have to see what a library would hide."""

from __future__ import annotations

import socket
from dataclasses import dataclass

DATA, HEADERS, SETTINGS, PING, GOAWAY = 0, 1, 4, 6, 7
ACK, END_STREAM, END_HEADERS = 1, 1, 4


@dataclass(frozen=True)
class Frame:
    kind: int
    flags: int
    stream: int
    body: bytes


@dataclass
class Client:
    """One connection. Answers settings and pings by itself."""

    connection: socket.socket
    unread: bytes = b""

    def open(self) -> None:
        self.connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))

    def call(self, stream: int, path: str) -> None:
        """Begin a gRPC call with one empty message and no more to come."""
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "web",
            "content-type": "application/grpc",
            "te": "trailers",
        }
        head = b"".join(b"\x00" + text(name) + text(value) for name, value in fields.items())
        self.connection.sendall(frame(HEADERS, END_HEADERS, stream, head) + frame(DATA, END_STREAM, stream, bytes(5)))

    def next(self) -> Frame | None:
        """The next frame that says something; none at a clean end."""
        while True:
            head = self.read(9)
            if not head:
                return None
            length = int.from_bytes(head[:3], "big")
            got = Frame(head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, self.read(length))
            if got.kind in {SETTINGS, PING}:
                if not got.flags & ACK:
                    self.connection.sendall(frame(got.kind, ACK, 0, got.body if got.kind == PING else b""))
            elif got.kind in {DATA, HEADERS, GOAWAY}:
                return got

    def until(self, kind: int) -> Frame:
        """The next frame of this kind."""
        while (got := self.next()) is not None:
            if got.kind == kind:
                return got
        raise EOFError(f"the connection ended without a frame of kind {kind}")

    def read(self, length: int) -> bytes:
        while len(self.unread) < length:
            got = self.connection.recv(65536)
            if not got:
                return b""
            self.unread += got
        out, self.unread = self.unread[:length], self.unread[length:]
        return out


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def text(value: str) -> bytes:
    """A short HPACK string without compression."""
    return bytes([len(value)]) + value.encode()
