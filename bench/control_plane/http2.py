"""One HTTP/2 connection with gRPC streams, for a crowd that must cost less than what it measures.

Sends each request once and counts the messages that come back. Reads no header but how a stream ended; never waits.
"""

import socket
from collections.abc import Iterator, Mapping

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK, END_STREAM, END_HEADERS = 1, 1, 4
WINDOW = 1 << 20
"""Of the connection; a stream has the 64 KiB that HTTP/2 begins with."""


class Ended(Exception):
    """The connection, or one of its streams, is over."""


class Connection:
    """Opened at once; `calls` has the path and the message of each stream, by any number of the caller's."""

    def __init__(self, host: str, port: int, calls: Mapping[int, tuple[str, bytes]]) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._numbers: dict[int, int] = {}
        self._unread = bytearray()
        self._bodies: dict[int, bytearray] = {}
        opening = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", _frame(SETTINGS, 0, 0), _grant(0, WINDOW)]
        for place, (number, (path, message)) in enumerate(calls.items()):
            stream = 2 * place + 1
            self._numbers[stream] = number
            self._bodies[stream] = bytearray()
            body = b"\0" + len(message).to_bytes(4, "big") + message
            opening += (_frame(HEADERS, END_HEADERS, stream, _head(path)), _frame(DATA, END_STREAM, stream, body))
        self.socket.sendall(b"".join(opening))
        self.socket.setblocking(False)

    def read(self) -> Iterator[tuple[int, bytes]]:
        """Yield each message that has come, with the number of its stream. Raises Ended."""
        try:
            got = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as error:
            raise Ended(str(error)) from error
        if not got:
            raise Ended("closed by the server")
        self._unread += got
        said: list[bytes] = []
        for kind, flags, stream, body in self._frames():
            if kind == DATA:
                if body:
                    said += (_grant(0, len(body)), _grant(stream, len(body)))
                yield from self._messages(stream, body)
            elif kind == SETTINGS and not flags & ACK:
                said.append(_frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                said.append(_frame(PING, ACK, 0, body))
            if kind in (RST_STREAM, GOAWAY) or (kind in (DATA, HEADERS) and flags & END_STREAM):
                raise Ended(f"frame of kind {kind} on stream {self._numbers.get(stream, 'all')}")
        if said:
            self._say(b"".join(said))

    def close(self) -> None:
        """Leave without a word."""
        self.socket.close()

    def _say(self, words: bytes) -> None:
        try:
            self.socket.sendall(words)
        except OSError as error:
            raise Ended(str(error)) from error

    def _frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        at = 0
        unread = self._unread
        while len(unread) - at >= 9:
            end = at + 9 + int.from_bytes(unread[at : at + 3], "big")
            if len(unread) < end:
                break
            stream = int.from_bytes(unread[at + 5 : at + 9], "big") & 0x7FFFFFFF
            yield unread[at + 3], unread[at + 4], stream, bytes(unread[at + 9 : end])
            at = end
        del unread[:at]

    def _messages(self, stream: int, body: bytes) -> Iterator[tuple[int, bytes]]:
        kept = self._bodies[stream]
        kept += body
        while len(kept) >= 5 and len(kept) >= (end := 5 + int.from_bytes(kept[1:5], "big")):
            message = bytes(kept[5:end])
            del kept[:end]
            yield self._numbers[stream], message


def _head(path: str) -> bytes:
    """HPACK without compression: indexed names, literal values, nothing for the table."""
    method_post, scheme_http = b"\x83", b"\x86"
    return b"".join(
        (
            *(method_post, scheme_http),
            b"\x04" + _text(path),
            b"\x01" + _text("control-plane"),
            b"\x00" + _text("content-type") + _text("application/grpc"),
            b"\x00" + _text("te") + _text("trailers"),
        )
    )


def _text(value: str) -> bytes:
    assert len(value) < 127
    return bytes([len(value)]) + value.encode()


def _grant(stream: int, size: int) -> bytes:
    return _frame(WINDOW_UPDATE, 0, stream, size.to_bytes(4, "big"))


def _frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    return len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + body
