"""Running the proxy: settings, admin port, access log, and how it comes to rest. Real processes on loopback."""

import contextlib
import gzip
import http.server
import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from tests.e2e import frames
from tests.e2e.one_proxy import HTTP2, Proxy, program, running

from weft.testing import wait_until

pytestmark = pytest.mark.e2e
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


@dataclass
class Application:
    """What its requests wait for, and where it listens."""

    arrived: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    port: int = 0


@pytest.fixture
def application() -> Iterator[Application]:
    """HTTP/1.1: `/hold` is answered when the test releases it, everything else at once."""
    application = Application()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/hold":
                application.arrived.set()
                application.release.wait(30)
            self.send_response(200)
            self.send_header("content-length", "3")
            with contextlib.suppress(OSError):  # The proxy may be gone.
                self.end_headers()
                self.wfile.write(b"ok\n")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        application.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield application
        application.release.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def streaming() -> Iterator[Application]:
    """gRPC: one message at once, another one when the test releases it."""
    application = Application()

    def answer(_: bytes, __: grpc.ServicerContext) -> Iterator[bytes]:
        yield b"first"
        application.release.wait(30)
        yield b"last"

    class Calls(grpc.GenericRpcHandler):
        def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            return grpc.unary_stream_rpc_method_handler(answer)

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Calls()])
    application.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield application
    application.release.set()
    server.stop(None).wait()


def get(connection: socket.socket, path: str) -> None:
    connection.sendall(f'GET {path} HTTP/1.1\r\nhost: shop.example\r\nuser-agent: a "b" c\r\n\r\n'.encode())


def answered(connection: socket.socket) -> str:
    """The head of an answer whose body is three bytes."""
    said = b""
    while not said.endswith(b"ok\n"):
        got = connection.recv(4096)
        assert got, said
        said += got
    return said.decode().lower()


def refuses(proxy: Proxy) -> bool:
    try:
        socket.create_connection(("127.0.0.1", proxy.inbound), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def not_ready(proxy: Proxy) -> bool:
    return proxy.ask("GET", "/ready")[0] == 503


def broken_off(connection: socket.socket) -> bool:
    """Whether the connection is reset, not closed. Below TLS, whose reader here takes the one for the other."""
    with socket.socket(fileno=os.dup(connection.fileno())) as raw:
        raw.settimeout(30)
        try:
            while raw.recv(4096):
                pass
        except ConnectionResetError:
            return True
    return False


def test_a_wrong_value_stops_the_start() -> None:
    """Requirement: every wrong value is named with what is allowed, all at once, and the proxy does not start."""
    wrong = {"LINKERD2_PROXY_CORES": "many", "LINKERD2_PROXY_ACCESS_LOG": "clf"}
    said = subprocess.run([program()], env=wrong, capture_output=True, text=True, timeout=30, check=False)
    assert said.returncode == 64
    assert 'LINKERD2_PROXY_CORES="many": must be a whole number' in said.stderr
    assert 'LINKERD2_PROXY_ACCESS_LOG="clf": must be apache or json' in said.stderr
    assert "LINKERD2_PROXY_POLICY_SVC_ADDR is not set" in said.stderr


def test_the_admin_port(tmp_path: Path, application: Application) -> None:
    """Requirement: metrics parse in both formats, compressed and not; secrets are hidden; the log level changes at
    once and a wrong one is explained; variables without effect are reported; all of it over IPv6 too.
    """
    settings = {
        "LINKERD2_PROXY_ADMIN_LISTEN_ADDR": "[::]:{admin}",
        "LINKERD2_PROXY_TAP_SVC_NAME": "tap.linkerd",
        "LINKERD2_PROXY_LOG_LEVEL": "debug",
        "WEFT_PROXY_JOIN_TOKEN": "hush",
        "DATABASE_PASSWORD": "hush",
        "LINKERD2_PROXY_LOG_FORMAT": "json",
    }
    with running(tmp_path, **settings) as proxy:
        wait_until(lambda: proxy.logged("started"), "the proxy says that it started")
        messages = [json.loads(line)["fields"]["message"] for line in proxy.lines]
        assert "LINKERD2_PROXY_TAP_SVC_NAME has no effect: tap is not served yet" in messages
        assert any(
            said.startswith("LINKERD2_PROXY_LOG_LEVEL is unknown") and said.endswith("name is LINKERD2_PROXY_LOG")
            for said in messages
        )

        with proxy.connect(application.port) as connection:
            get(connection, "/")
            answered(connection)
        wait_until(lambda: b"response_total{" in proxy.ask("GET", "/metrics")[2], "the request is counted")
        check_formats(proxy)

        status, _, said = proxy.ask("GET", "/env.json")
        assert status == 200
        assert b"hush" not in said
        assert json.loads(said)["LINKERD2_PROXY_TAP_SVC_NAME"] == "tap.linkerd"

        for host in ("127.0.0.1", "::1"):
            status, _, said = proxy.ask("PUT", "/proxy-log-level", "weft=loud", host=host)
            assert (status, b"weft=loud" in said) == (400, True)
            assert proxy.ask("PUT", "/proxy-log-level", "warn,weft=debug", host=host)[0] == 204
            assert proxy.ask("GET", "/proxy-log-level", host=host)[2] == b"warn,weft=debug\n"
        with proxy.connect(application.port) as connection:
            get(connection, "/seen-in-the-log")
            answered(connection)
        wait_until(lambda: proxy.logged("/seen-in-the-log"), "the exchange is logged")
        assert proxy.ask("POST", "/shutdown")[0] == 404


def check_formats(proxy: Proxy) -> None:
    _, headers, plain = proxy.ask("GET", "/metrics")
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    text = {family.name: family for family in parse_text(plain.decode())}
    _, headers, said = proxy.ask("GET", "/metrics", accept=OPENMETRICS, accept_encoding="gzip")
    assert headers["content-encoding"] == "gzip"
    assert headers["content-type"].startswith(OPENMETRICS.split(";")[0])
    opened = {family.name: family for family in parse_openmetrics(gzip.decompress(said).decode())}
    assert text.keys() == opened.keys()
    assert {
        "request",
        "response_latency_ms",
        "tcp_open_connections",
        "control_identity_cert_refreshes",
    } <= opened.keys()
    for name, family in opened.items():
        assert family.type == text[name].type != "unknown"
        assert family.documentation
    (request,) = opened["request"].samples
    assert (request.name, request.value, request.labels["direction"]) == ("request_total", 1.0, "inbound")


def test_shutdown_by_request(tmp_path: Path) -> None:
    """Requirement: where it is switched on, POST /shutdown ends the process with status 0."""
    with running(tmp_path, LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED="true") as proxy:
        assert proxy.ask("POST", "/shutdown")[0] == 200
        assert proxy.ended() == 0


@pytest.mark.parametrize("form", ["json", "apache"])
def test_the_access_log(tmp_path: Path, application: Application, form: str) -> None:
    """Requirement: each inbound request is one line on standard error, refused ones too, before the process ends."""
    paths = ["/a?b=%0Ac", '/"quoted"', "/fine"]
    with running(tmp_path, LINKERD2_PROXY_ACCESS_LOG=form, LINKERD2_PROXY_LOG="error") as proxy:
        with proxy.connect(application.port) as connection:
            for path in paths:
                get(connection, path)
                answered(connection)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            nobody = taken.getsockname()[1]
        with proxy.connect(nobody) as connection:
            get(connection, "/nobody")
            assert b" 502 " in connection.recv(4096)
        proxy.terminate()
        assert proxy.ended() == 0
    lines = [line for line in proxy.lines if "GET" in line]
    assert len(lines) == len(paths) + 1, proxy.lines
    if form == "json":
        said = [json.loads(line) for line in lines]
        assert [(one["uri"], one["status"]) for one in said] == [*((path, 200) for path in paths), ("/nobody", 502)]
        assert {one["host"] for one in said} == {"shop.example"}
        assert {one["user_agent"] for one in said} == {'a "b" c'}
        assert [one["response_bytes"] for one in said] == [3, 3, 3, 0]
    else:
        assert '"GET /\\"quoted\\" HTTP/1.1" 200 3\n' in lines[1]
        assert lines[3].endswith('"GET /nobody HTTP/1.1" 502 0\n')


def test_http1_comes_to_rest(tmp_path: Path, application: Application) -> None:
    """Requirement: told to stop, the proxy says that it is not ready, takes no new connection, closes idle ones,
    answers what is under way with `connection: close`, and ends with status 0.
    """
    with running(tmp_path) as proxy, contextlib.ExitStack() as stack:
        idle, busy = (stack.enter_context(proxy.connect(application.port)) for _ in range(2))
        get(idle, "/")
        assert "connection: close" not in answered(idle)
        get(busy, "/hold")
        assert application.arrived.wait(30)
        proxy.terminate()
        wait_until(lambda: not_ready(proxy), "not ready any more")
        assert b"stopping" in proxy.ask("GET", "/ready")[2]
        assert idle.recv(1) == b""
        wait_until(lambda: refuses(proxy), "the inbound port is closed")
        assert proxy.process.poll() is None
        application.release.set()
        assert "connection: close" in answered(busy)
        assert busy.recv(1) == b""
        assert proxy.ended() == 0


def test_http2_comes_to_rest(tmp_path: Path, streaming: Application) -> None:
    """Requirement: told to stop, the proxy sends GOAWAY on HTTP/2; a stream that goes on has its time and ends
    complete.
    """
    with running(tmp_path) as proxy, proxy.connect(streaming.port, HTTP2) as connection:
        client = frames.Client(connection)
        client.open()
        client.call(1, "/shop.Basket/Watch")
        assert client.until(frames.DATA).body[5:] == b"first"
        proxy.terminate()
        client.until(frames.GOAWAY)
        assert proxy.process.poll() is None
        streaming.release.set()
        assert client.until(frames.DATA).body[5:] == b"last"
        assert client.until(frames.HEADERS).flags & frames.END_STREAM
        while client.next() is not None:
            pass
        assert proxy.ended() == 0


def second_signal(proxy: Proxy) -> None:
    proxy.terminate()
    wait_until(lambda: not_ready(proxy), "not ready any more")
    assert proxy.process.poll() is None
    proxy.terminate()


@pytest.mark.parametrize(
    ("grace", "stop"), [("1s", Proxy.terminate), ("120s", second_signal)], ids=["grace-period", "second-signal"]
)
def test_what_does_not_end_is_cut_off(
    tmp_path: Path, application: Application, grace: str, stop: Callable[[Proxy], None]
) -> None:
    """Requirement: what is still open when the grace period ends, or at the second signal, ends as a failure that
    nobody can take for a complete answer; the process ends with status 0.
    """
    with (
        running(tmp_path, LINKERD2_PROXY_SHUTDOWN_GRACE_PERIOD=grace) as proxy,
        proxy.connect(application.port) as connection,
    ):
        get(connection, "/hold")
        assert application.arrived.wait(30)
        stop(proxy)
        assert proxy.ended() == 0
        assert broken_off(connection)
    assert proxy.logged("open connections are cut off")


def test_a_body_that_stops_is_answered_408(tmp_path: Path) -> None:
    """Requirement: a client of HTTP/1 that lets its request's body be waited for longer than the setting says is
    answered 408, the metric says whose fault it is, and the application's connection ends inside the body.
    """
    with socket.create_server(("127.0.0.1", 0)) as application, running(tmp_path, **HURRIED) as proxy:
        with proxy.connect(application.getsockname()[1]) as client:
            client.sendall(b"POST /slow HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 10\r\n\r\nfirst")
            server, _ = application.accept()
            head = b"".join(iter(lambda: client.recv(4096), b"")).decode().lower()
            with server:
                server.settimeout(30)
                with contextlib.suppress(ConnectionResetError):
                    assert b"".join(iter(lambda: server.recv(4096), b"")).endswith(b"\r\nfirst")
        assert head.startswith("http/1.1 408 ")
        assert "connection: close\r\n" in head
        _, _, metrics = proxy.ask("GET", "/metrics")
        labels = {"error": "bad_request", "stage": "exchange", "blame": "client", "retry": "unsafe"}
        found = (sample for family in parse_text(metrics.decode()) for sample in family.samples)
        assert any(
            sample.name == "inbound_http_errors_total" and labels.items() <= sample.labels.items() and sample.value == 1
            for sample in found
        )


HURRIED = {"WEFT_PROXY_HTTP1_BODY_TIMEOUT": "300ms"}
