"""The gRPC health question (`grpc.health.v1.Health/Check`) over a socket that is connected already.

One request with a fixed head and one answer, of which only the message is read: that needs no HTTP/2 library, and the
client library in use elsewhere cannot be given a socket of another network namespace. Frames: RFC 9113, section 4.1;
literals: RFC 7541, section 6.2.2.
"""

import asyncio
import socket
import struct

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7
_ACK = _END_STREAM = 0x1
_END_HEADERS = 0x4
_ANSWER_LIMIT = 64 * 1024
_SERVING = 1
# One byte of length (protobuf varint, HPACK integer).
_NAME_LIMIT = 127


async def serving(connection: socket.socket, authority: str, service: str) -> str:
    """Empty when `service` (empty: the whole server) answers SERVING, else the reason why not. Raises OSError."""
    name = service.encode()
    if len(name) > _NAME_LIMIT:
        return f"the service name is longer than {_NAME_LIMIT} bytes"
    message = b"\x0a" + bytes([len(name)]) + name if name else b""
    body = struct.pack(">BI", 0, len(message)) + message
    request = _PREFACE + _frame(_SETTINGS, 0, 0, b"")
    request += _frame(_HEADERS, _END_HEADERS, 1, _head(authority)) + _frame(_DATA, _END_STREAM, 1, body)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, request)
    answer = b""
    while len(answer) < _ANSWER_LIMIT:
        kind, flags, stream, payload = await _next(loop, connection)
        if kind == _SETTINGS and not flags & _ACK:
            await loop.sock_sendall(connection, _frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            await loop.sock_sendall(connection, _frame(_PING, _ACK, 0, payload))
        elif kind == _DATA and stream == 1:
            answer += payload
        if kind in (_RESET, _GOAWAY) or (stream == 1 and kind in (_DATA, _HEADERS) and flags & _END_STREAM):
            break
    return _verdict(answer, service)


def _verdict(answer: bytes, service: str) -> str:
    asked = f"health of {service!r}" if service else "health"
    if len(answer) < 5:
        return f"{asked}: the server refused to answer (does it serve grpc.health.v1.Health?)"
    status = answer[6] if answer[5:6] == b"\x08" and len(answer) > 6 else 0
    return "" if status == _SERVING else f"{asked}: the server says that it is not serving"


def _head(authority: str) -> bytes:
    fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "weft-probe"),
    ]
    # Literal fields without indexing and without Huffman coding, each shorter than the 127 bytes of one length byte.
    return b"".join(b"\x00" + bytes([len(n)]) + n.encode() + bytes([len(v)]) + v.encode() for n, v in fields)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


async def _next(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> tuple[int, int, int, bytes]:
    header = await _exactly(loop, connection, 9)
    length = int.from_bytes(header[:3], "big")
    kind, flags, stream = struct.unpack(">BBI", header[3:])
    if length > _ANSWER_LIMIT:
        raise OSError("the answer is not HTTP/2")
    return kind, flags, stream & 0x7FFFFFFF, await _exactly(loop, connection, length)


async def _exactly(loop: asyncio.AbstractEventLoop, connection: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        chunk = await loop.sock_recv(connection, size - len(got))
        if not chunk:
            raise OSError("the server closed the connection instead of answering")
        got += chunk
    return got
