"""Reads captured TLS 1.3: which records a stream holds, and which version its server chose."""

SERVER_HELLO, SUPPORTED_VERSIONS = 2, 43
HANDSHAKE, APPLICATION_DATA = 22, 23
TLS_13 = b"\x03\x04"
KNOWN_TYPES = {20, 21, HANDSHAKE, APPLICATION_DATA}


def records(stream: bytes) -> list[tuple[int, bytes]]:
    """Type and body of each TLS record. Raises ValueError where the stream holds anything else."""
    found, at = [], 0
    while at < len(stream):
        kind, version, length = stream[at], stream[at + 1 : at + 3], int.from_bytes(stream[at + 3 : at + 5], "big")
        if kind not in KNOWN_TYPES or version not in {b"\x03\x01", b"\x03\x03"} or length > (1 << 14) + 256:
            raise ValueError(f"not TLS at byte {at}: {stream[at : at + 40]!r}")
        found.append((kind, stream[at + 5 : at + 5 + length]))
        at += 5 + length
    return found


def chosen_version(server: bytes) -> bytes:
    """What the ServerHello at the begin of a server's stream says in `supported_versions`; empty without one."""
    kind, body = records(server)[0]
    if kind != HANDSHAKE or body[0] != SERVER_HELLO:
        raise ValueError("no ServerHello")
    at = 4 + 2 + 32
    at += 1 + body[at] + 2 + 1  # session id, cipher suite, compression
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    at += 2
    while at < end:
        extension, length = int.from_bytes(body[at : at + 2], "big"), int.from_bytes(body[at + 2 : at + 4], "big")
        if extension == SUPPORTED_VERSIONS:
            return body[at + 4 : at + 4 + length]
        at += 4 + length
    return b""
