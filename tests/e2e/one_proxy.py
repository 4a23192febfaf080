"""One weft-proxy on loopback with a control plane, without namespaces: for what concerns the process itself.

Nothing is redirected here, so a client comes as another proxy would: mesh TLS to the inbound port and a transport
header that names the port of the application. It shows no certificate of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from weft.testing import wait_until

ROOT = Path(__file__).parents[2]
IDENTITY = "web.default.serviceaccount.identity.weft.cluster.local"
TRANSPORT = "transport.l5d.io/v1"
# The field of the transport header that says what the client's proxy found; without it, the bytes are opaque.
HTTP1, HTTP2 = b"\x0a\x00", b"\x12\x00"


@dataclass
class Proxy:
    """A running weft-proxy; `lines` is what it wrote to standard error."""

    process: subprocess.Popen[str]
    admin: int
    inbound: int
    control_plane: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def ask(
        self, method: str, path: str, body: str | None = None, host: str = "127.0.0.1", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request to the admin port."""
        connection = http.client.HTTPConnection(host, self.admin, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def connect(self, port: int, session: bytes = HTTP1) -> ssl.SSLSocket:
        """A connection to the application at `port`, through the proxy, for the protocol `session`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols([TRANSPORT])
        plain = socket.create_connection(("127.0.0.1", self.inbound), timeout=30)
        secured = context.wrap_socket(plain, server_hostname=IDENTITY)
        header = b"\x08" + varint(port) + b"\x1a\x02" + session
        secured.sendall(TRANSPORT.encode() + b"\r\n\r\n" + len(header).to_bytes(4, "big") + header)
        return secured

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        """The exit status, once the process has ended."""
        return self.process.wait(timeout=30)

    def logged(self, word: str) -> bool:
        return any(word in line for line in self.lines)


@contextlib.contextmanager
def running(directory: Path, *, lifetime: int = 86_400, **settings: str) -> Iterator[Proxy]:
    """A proxy that is ready, with these settings beside the least; killed at the end if it still runs.

    Its certificates live for `lifetime` seconds.
    """
    with control_plane(lifetime) as (plane, plane_process), of(directory, plane, plane_process, **settings) as proxy:
        yield proxy


@contextlib.contextmanager
def of(
    directory: Path, plane: dict[str, Any], plane_process: subprocess.Popen[str], **settings: str
) -> Iterator[Proxy]:
    """The same of a control plane that runs: `plane` has its ports, a token and the anchors."""
    admin, inbound, outbound = free_ports(3)
    token = directory / "token"
    token.write_text(plane["token"])
    environment = {
        "LINKERD2_PROXY_ADMIN_LISTEN_ADDR": f"127.0.0.1:{admin}",
        "LINKERD2_PROXY_INBOUND_LISTEN_ADDR": f"127.0.0.1:{inbound}",
        "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR": f"127.0.0.1:{outbound}",
        "LINKERD2_PROXY_IDENTITY_SVC_ADDR": f"127.0.0.1:{plane['identity']}",
        "LINKERD2_PROXY_DESTINATION_SVC_ADDR": f"127.0.0.1:{plane['destination']}",
        "LINKERD2_PROXY_POLICY_SVC_ADDR": f"127.0.0.1:{plane['policy']}",
        "LINKERD2_PROXY_POLICY_WORKLOAD": '{"ns":"default","pod":"web-0"}',
        "LINKERD2_PROXY_IDENTITY_LOCAL_NAME": IDENTITY,
        "LINKERD2_PROXY_IDENTITY_TOKEN_FILE": str(token),
        "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS": plane["anchors"],
        "LINKERD2_PROXY_INBOUND_CONNECT_TIMEOUT": "5s",
        **{name: value.format(admin=admin) for name, value in settings.items()},
    }
    process = subprocess.Popen([program()], env=environment, stderr=subprocess.PIPE, text=True)
    proxy = Proxy(process, admin, inbound, plane_process)
    assert process.stderr
    reader = threading.Thread(target=collect, args=(process.stderr, proxy.lines))
    reader.start()
    try:
        wait_until(lambda: ready(proxy), "ready")
        yield proxy
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()


def ready(proxy: Proxy) -> bool:
    assert proxy.process.poll() is None, proxy.lines
    with contextlib.suppress(OSError):
        return proxy.ask("GET", "/ready")[0] == 200
    return False


@contextlib.contextmanager
def control_plane(lifetime: int) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    """A control plane that lets everybody in; it ends with its standard input."""
    command = [sys.executable, "-m", "tests.control_plane", "all-unauthenticated", str(lifetime)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        yield json.loads(process.stdout.readline()), process
        process.stdin.close()


def program() -> str:
    """The built proxy, beside the interpreter that runs the tests or on PATH."""
    beside = Path(sys.executable).parent / "weft-proxy"
    found = str(beside) if beside.exists() else shutil.which("weft-proxy")
    assert found, "weft-proxy is not built: run `make .venv/.programs`"
    return found


def collect(stream: IO[str], lines: list[str]) -> None:
    lines.extend(iter(stream.readline, ""))


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in held]


def varint(number: int) -> bytes:
    """As protobuf writes it."""
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])
