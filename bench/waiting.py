"""Waiting for what other processes do: asks often, gives up loudly. Times what it waited for."""

import http.client
import socket
import time
from collections.abc import Callable

from weft.local import namespaces

PATIENCE = 60.0


def until(condition: Callable[[], bool], what: str, pause: float = 0.02) -> None:
    """Return as soon as the condition holds. Raises TimeoutError after a minute."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError(f"{what}: not after {PATIENCE:g} s")
        time.sleep(pause)


def until_steady(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Return once the condition has held so long without a break. Raises TimeoutError after a minute."""
    since = time.monotonic()

    def held() -> bool:
        nonlocal since
        if not condition():
            since = time.monotonic()
        return time.monotonic() - since >= seconds

    until(held, what)


def listening(network: int, host: str, port: int) -> bool:
    """Whether a connection is accepted there."""
    try:
        _connect(network, host, port).close()
    except OSError:
        return False
    return True


def answers(network: int, host: str, port: int, path: str = "/", name: str = "", status: int = 200) -> bool:
    """Whether a GET is answered with this status; it says `name` where that is not the address."""
    try:
        return get(network, host, port, path, name)[0] == status
    except (OSError, http.client.HTTPException):
        return False


def get(network: int, host: str, port: int, path: str, name: str = "") -> tuple[int, bytes]:
    """Status and body that a GET is answered with. Raises OSError and http.client.HTTPException."""
    with _connect(network, host, port) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: {name or host}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()


def milliseconds(since: float) -> float:
    """Time that has passed since a `time.perf_counter()`."""
    return (time.perf_counter() - since) * 1000


def _connect(network: int, host: str, port: int) -> socket.socket:
    with namespaces.inside(network):
        connection = socket.socket()
    connection.settimeout(5)
    try:
        connection.connect((host, port))
    except OSError:
        connection.close()
        raise
    return connection
