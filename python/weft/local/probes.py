"""Whether a replica is ready: asked inside its own network namespace, past its proxy, as Kubernetes' probes ask.

By IPv4, or by IPv6 where nothing listens on IPv4.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from weft.local import health, namespaces
from weft.local.plan import Replica
from weft.local.rules import PROXY_MARK
from weft.model.workload import ExecCheck, GrpcCheck, HttpCheck, Probe, TcpCheck


async def ask(probe: Probe, replica: Replica, network: int, run: Callable[[tuple[str, ...]], Awaitable[int]]) -> str:
    """Empty when ready, else the reason why not. `run` executes a command as the application."""
    try:
        async with asyncio.timeout(probe.timeout):
            return await _check(probe, replica, network, run)
    except TimeoutError:
        return f"no answer in {probe.timeout:g} s"
    except ConnectionRefusedError:
        return await _refused(probe, network)
    except OSError as problem:
        return str(problem)


async def _check(probe: Probe, replica: Replica, network: int, run: Callable[[tuple[str, ...]], Awaitable[int]]) -> str:
    check = probe.check
    if isinstance(check, ExecCheck):
        code = await run(check.command)
        return "" if code == 0 else f"{check.command[0]} exited with code {code}"
    try:
        return await _knock(check, network, replica.address)
    except ConnectionRefusedError:
        if not replica.address6:
            raise
        return await _knock(check, network, replica.address6)


async def _knock(check: TcpCheck | HttpCheck | GrpcCheck, network: int, address: str) -> str:
    if isinstance(check, HttpCheck):
        status = await http_status(network, address, check.port, check.path)
        return "" if 200 <= status < 400 else f"GET {check.path} answered {status}"
    with await connect(network, address, check.port) as connection:
        if isinstance(check, GrpcCheck):
            return await health.serving(connection, _authority(address, check.port), check.service)
    return ""


def _authority(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


async def _refused(probe: Probe, network: int) -> str:
    port = 0 if isinstance(probe.check, ExecCheck) else probe.check.port
    try:
        async with asyncio.timeout(probe.timeout):
            (await connect(network, "127.0.0.1", port)).close()
    except OSError:
        return f"nothing listens on port {port}"
    return f"listens on 127.0.0.1:{port} only; let it listen on 0.0.0.0"


async def connect(network: int, address: str, port: int) -> socket.socket:
    """A connection made in `network` that no redirect touches. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
    connection = namespaces.call_inside(network, lambda: socket.socket(family, kind))
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, PROXY_MARK)
        await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection


async def http_status(network: int, address: str, port: int, path: str) -> int:
    """The status that `GET path` gets. Raises OSError, also for an answer that is not HTTP."""
    connection = await connect(network, address, port)
    loop = asyncio.get_running_loop()
    with connection:
        fields = f"host: {_authority(address, port)}\r\nuser-agent: weft-probe\r\nconnection: close"
        request = f"GET {path} HTTP/1.1\r\n{fields}\r\n\r\n"
        await loop.sock_sendall(connection, request.encode())
        head = b""
        while b"\r\n" not in head and len(head) < _STATUS_LINE_LIMIT:
            chunk = await loop.sock_recv(connection, _STATUS_LINE_LIMIT)
            if not chunk:
                break
            head += chunk
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise OSError("the answer is not HTTP")
    return int(words[1])


_STATUS_LINE_LIMIT = 1024
