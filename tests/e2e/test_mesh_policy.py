"""Inbound policy in a mesh: who is let in, what a change ends, and what nobody gets around."""

import json
from collections.abc import Iterator

import pytest
from tests.e2e import access
from tests.e2e.access import BYTES, FOR_WEB, GROUP, GRPC, HTTP, WEB, Documents, status
from tests.e2e.applications import FILES, Python, ask

from weft.local.addresses import ipv6
from weft.local.rules import PROXY_MARK
from weft.testing import Mesh, wait_until

pytestmark = pytest.mark.e2e
CHANGES = 20
GENEROUS = 20.0
"""Seconds for what takes parts of one, on a machine that does much else; `tests/soak` holds it to one second."""


@pytest.fixture(scope="module")
def documents(python: Python) -> Documents:
    return Documents(python)


@pytest.fixture(scope="module")
def mesh(documents: Documents) -> Iterator[Mesh]:
    with Mesh(documents.text(*FOR_WEB), FILES, "policy") as mesh:
        yield mesh


@pytest.fixture
def granted(mesh: Mesh, python: Python, documents: Documents) -> None:
    """`web` may reach everything of `api`."""
    mesh.edit(documents.text(*FOR_WEB))
    wait_until(lambda: status(mesh, python, "web-0") == 200, "web is let in")


def bytes_end(mesh: Mesh, python: Python, replica: str) -> str:
    """How a connection of bytes ends at once, or `open`."""
    asked = (
        f"import socket; s = socket.create_connection(('echo', {BYTES}), 30); s.sendall(b'?bytes');\n"
        "try: print('open' if s.recv(1) else 'closed')\nexcept ConnectionResetError: print('reset')"
    )
    return mesh.exec(replica, python.program, "-c", asked).strip()


@pytest.mark.usefixtures("granted")
def test_only_the_named_client_comes_in(mesh: Mesh, python: Python) -> None:
    """Requirement: HTTP answers 403, gRPC PERMISSION_DENIED, bytes a reset; metrics name Server and grant."""
    assert status(mesh, python, "web-0") == 200
    assert status(mesh, python, "cron-0") == 403
    assert status(mesh, python, "stranger-0") == 403
    assert ask(mesh, python, "web-0", "rpc.py", "unary", f"api:{GRPC}")["answer"] == "hello"
    assert ask(mesh, python, "cron-0", "rpc.py", "refused", f"api:{GRPC}") == {"code": "PERMISSION_DENIED"}
    assert bytes_end(mesh, python, "web-0") == "open"
    assert bytes_end(mesh, python, "cron-0") == "reset"
    about = {"srv_group": GROUP, "srv_kind": "server", "srv_name": "http", "srv_port": str(HTTP)}
    grant = {"authz_group": GROUP, "authz_kind": "authorizationpolicy", "authz_name": "web-http", "client_id": WEB}
    assert mesh.counted("api-0", "inbound_http_authz_allow_total", about | grant) > 0
    assert mesh.counted("api-0", "inbound_http_authz_deny_total", about | {"route_name": "default"}) >= 2
    opaque = {"srv_kind": "server", "srv_name": "bytes"}
    assert mesh.counted("echo-0", "inbound_tcp_authz_deny_total", opaque) >= 1
    assert mesh.counted("echo-0", "inbound_tcp_authz_allow_total", opaque | {"authz_name": "web-bytes"}) >= 1


@pytest.mark.usefixtures("granted")
def test_the_deciding_document_is_named(mesh: Mesh) -> None:
    """Requirement: `weft policy explain` names the document that decides, and its line; `weft authz` lists."""
    assert mesh.run("policy explain", "web", "nobody").returncode == 1
    told = json.loads(explained(mesh, "web", f"api:{HTTP}", "GET", "/", "-o", "json"))
    assert (told["allowed"], told["authorization"], told["client"]["identity"]) == (True, "web-http", WEB)
    (decided,) = [each for each in told["rules"] if each["part"] == "decided"]
    before = mesh.file.read_text().split("name: web-http\n")[0]
    line = before[: before.rindex("apiVersion:")].count("\n") + 1
    assert (decided["rule"], decided["origin"]) == ("AuthorizationPolicy web-http", f"{mesh.file}:{line}")
    refused = explained(mesh, "cron", f"api:{HTTP}", "GET", "/")
    assert "DENIED" in refused
    assert "cron.default.serviceaccount.identity.weft.cluster.local is not authorized (server http)" in refused
    listed = mesh.run("authz", "api").stdout.split()
    assert {"ROUTE", "SERVER", "AUTHORIZATION_POLICY", "SERVER_AUTHORIZATION", "web-http", "web-calls"} <= set(listed)


@pytest.mark.usefixtures("granted")
def test_each_grant_has_its_traffic(mesh: Mesh, python: Python) -> None:
    """Requirement: `weft authz` says what came in by a grant, and what was refused, in the columns of Linkerd's."""
    assert (status(mesh, python, "web-0"), status(mesh, python, "cron-0")) == (200, 403)

    def measured() -> bool:
        rows = json.loads(mesh.run("authz", "api", "-o", "json").stdout)
        used = [row for row in rows if row["authorization_policy"] == "web-http" and row["rps"]]
        refused = [row for row in rows if row["server"] == "http" and row["unauthorized_rps"]]
        return [row["success"] for row in used] == [1.0] and used[0]["latency_p99_ms"] > 0 and len(refused) == 1

    wait_until(measured, "both were measured")
    titles, *lines = mesh.run("authz", "api").stdout.splitlines()
    assert titles.split()[-6:] == ["UNAUTHORIZED", "SUCCESS", "RPS", "LATENCY_P50", "LATENCY_P95", "LATENCY_P99"]
    (used,) = [line for line in lines if "web-http" in line]
    assert "100.00%" in used


def explained(mesh: Mesh, *arguments: str) -> str:
    """What `weft policy explain` prints about this mesh."""
    said = mesh.run("policy explain", *arguments)
    assert said.returncode == 0, said.stderr
    return said.stdout


@pytest.mark.usefixtures("granted")
def test_a_revoked_client_is_cut_off(mesh: Mesh, python: Python, documents: Documents) -> None:
    """Requirement: streams that a removed authorization allowed end, silent ones too; the proxy counts them."""
    with access.holding(mesh, python) as clients:
        ended = access.revoked(clients, lambda: mesh.edit(documents.text()))
    assert max(each.after for each in ended.values()) < GENEROUS, ended
    assert status(mesh, python, "web-0") == 403
    assert mesh.counted("api-0", "inbound_http_authz_terminate_total") >= 2
    assert mesh.counted("echo-0", "inbound_tcp_authz_terminate_total") >= 1


def test_changes_under_load_never_let_through_what_both_states_forbid(
    mesh: Mesh, python: Python, documents: Documents
) -> None:
    """Requirement: while policy changes, a request that the old and the new state forbid is refused, and what the new
    one says holds from the first request that it decided: nothing goes back and forth. `tests/soak` has 200 changes.
    """
    assert max(access.changes(mesh, python, documents, CHANGES)) < GENEROUS


class TestNobodyGetsAround:
    """`cron` has no authorization and is not let in by any trick."""

    pytestmark = pytest.mark.usefixtures("granted")

    def test_by_the_proxys_mark(self, mesh: Mesh, python: Python) -> None:
        """Requirement: an application cannot mark its connections as the proxy's, which the redirection spares."""
        tried = (
            f"import socket\ntry: socket.socket().setsockopt(socket.SOL_SOCKET, 36, {PROXY_MARK}); print('marked')\n"
            "except PermissionError: print('refused')"
        )
        assert mesh.exec("cron-0", python.program, "-c", tried) == "refused\n"

    @pytest.mark.parametrize("port", [4140, 4143])
    def test_by_its_own_proxys_ports(self, mesh: Mesh, python: Python, port: int) -> None:
        """Requirement: what is sent to the proxy itself, with the server's name in it, comes nowhere."""
        assert sent(mesh, python, "cron-0", "127.0.0.1", port) in ("", "reset", "closed", "502", "504", "403")

    @pytest.mark.parametrize("replica", ["cron-0", "stranger-0"])
    def test_by_the_servers_proxys_port(self, mesh: Mesh, python: Python, replica: str) -> None:
        """Requirement: port 4143 takes nobody without mesh TLS and a transport header, meshed or not."""
        address = mesh.replicas()["api-0"]["address"]
        assert sent(mesh, python, replica, address, 4143) != "200"

    @pytest.mark.parametrize("replica", ["cron-0", "stranger-0"])
    def test_by_a_replicas_own_address(self, mesh: Mesh, python: Python, replica: str) -> None:
        """Requirement: the address of a replica is judged as its Service is."""
        address = mesh.replicas()["api-0"]["address"]
        assert status(mesh, python, "web-0", address) == 200
        assert sent(mesh, python, replica, address, HTTP) == "403"

    @pytest.mark.parametrize("replica", ["cron-0", "stranger-0"])
    def test_by_headers_of_the_mesh(self, mesh: Mesh, python: Python, replica: str) -> None:
        """Requirement: a forged `l5d-client-id` lets nobody in."""
        forged = f"l5d-client-id: {WEB}\\r\\nl5d-orig-proto: HTTP/1.1\\r\\n"
        assert sent(mesh, python, replica, "api", HTTP, forged) == "403"

    @pytest.mark.parametrize("replica", ["cron-0", "stranger-0"])
    def test_by_ipv6(self, mesh: Mesh, python: Python, replica: str) -> None:
        """Requirement: IPv6 is judged by the same rules; the one who is let in shows that the address is right."""
        address = ipv6(mesh.replicas()["api-0"]["address"])
        assert status(mesh, python, "web-0", address) == 200
        assert sent(mesh, python, replica, address, HTTP) == "403"


def sent(mesh: Mesh, python: Python, replica: str, host: str, port: int, headers: str = "") -> str:
    """The status that a request for `api` got, or how its connection ended."""
    asked = (
        f"import socket\ns = socket.create_connection(({host!r}, {port}), 30)\ns.settimeout(30)\n"
        f"s.sendall(b'GET / HTTP/1.1\\r\\nhost: api:{HTTP}\\r\\n{headers}connection: close\\r\\n\\r\\n')\n"
        "try: said = s.makefile('rb').readline()\nexcept ConnectionResetError: print('reset')\n"
        "else: print(said.split()[1].decode() if said else 'closed')"
    )
    return mesh.exec(replica, python.program, "-c", asked).strip()
