"""Bytes through two proxies: ports declared opaque, ends and resets, TLS that is not the mesh's, skipped ports."""

import json
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.e2e.applications import FILES, UNMESHED, Python, ask, idle, text

from weft.testing import Mesh, wait_until

pytestmark = pytest.mark.e2e
OPAQUE_PORTS = "config.linkerd.io/opaque-ports"
SKIP_INBOUND, SKIP_OUTBOUND = "config.linkerd.io/skip-inbound-ports", "config.linkerd.io/skip-outbound-ports"
SHOP, STALL = "shop.example", "stall.example"

Call = Callable[..., Any]


def server(python: Python, name: str, *ports: int, app_protocol: str = "", **metadata: object) -> dict[str, Any]:
    """A workload of the byte server on some of its ports."""
    protocol = {"appProtocol": app_protocol} if app_protocol else {}
    return {
        "apiVersion": "mesh.weft.dev/v1alpha1",
        "kind": "Workload",
        "metadata": {"name": name, **metadata},
        "spec": {
            "command": list(python.command("byte_server.py", *ports)),
            "ports": [{"port": port, "name": f"p{port}", **protocol} for port in ports],
            "readiness": {"tcpSocket": {"port": ports[0]}},
        },
    }


def service(name: str, workload: str, port: int, **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"selector": {"mesh.weft.dev/workload": workload}, "ports": [{"port": port}]},
    }


def documents(python: Python) -> list[dict[str, Any]]:
    governs = {
        "podSelector": {"matchLabels": {"mesh.weft.dev/workload": "governed"}},
        "accessPolicy": "all-unauthenticated",
    }
    return [
        server(python, "bytes", 9000, 9002, 9003, 9004, 9005, 9006, annotations={OPAQUE_PORTS: "9000,9002-9004"}),
        server(python, "by-workload", 9001, annotations={OPAQUE_PORTS: "9001"}),
        server(python, "by-protocol", 9001, app_protocol="linkerd.io/opaque"),
        server(python, "by-service", 9001),
        service("by-service", "by-service", 9001, **{OPAQUE_PORTS: "9001"}),
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "closed", "annotations": {OPAQUE_PORTS: "9001"}},
        },
        server(python, "by-namespace", 9001, namespace="closed"),
        server(python, "governed", 9001, 9006),
        {
            "apiVersion": "policy.linkerd.io/v1beta3",
            "kind": "Server",
            "metadata": {"name": "greeting"},
            "spec": {**governs, "port": "p9001", "proxyProtocol": "opaque"},
        },
        {
            "apiVersion": "policy.linkerd.io/v1beta1",
            "kind": "Server",
            "metadata": {"name": "shut"},
            "spec": {"podSelector": governs["podSelector"], "port": 9006},
        },
        server(python, "skipped", 9001, annotations={SKIP_INBOUND: "9000-9001,9001"}),
        idle("client"),
        idle("leaver"),
        idle("skipping", **{SKIP_OUTBOUND: "9006"}),
        idle("stranger", **UNMESHED),
    ]


@pytest.fixture(scope="module")
def mesh(python: Python, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    certificate = tmp_path_factory.mktemp("tls") / "tls.pem"
    certificate.write_bytes(self_signed(SHOP, STALL))
    with Mesh(text(*documents(python)), [*FILES, certificate], "tcp") as mesh:
        (mesh.directory / certificate.name).chmod(0o644)
        yield mesh


@pytest.fixture
def call(mesh: Mesh, python: Python) -> Call:
    return lambda kind, host, port, *more, by="client-0": ask(
        mesh, python, by, "byte_client.py", kind, host, port, *more
    )


GREETED = {"banner": "220 who are you?\n", "answer": "250 hello test\n"}


@pytest.mark.parametrize("host", ["by-workload", "by-protocol", "by-service", "by-namespace.closed"])
def test_a_declared_port_is_not_looked_into(call: Call, host: str) -> None:
    """Requirement: opaque by annotation of workload, Service or namespace, and appProtocol: nothing is waited for."""
    assert call("speaks_first", host, 9001) == GREETED


def test_a_server_governs_its_port(mesh: Mesh, call: Call) -> None:
    """Requirement: proxyProtocol opaque holds for unmeshed clients too; the metrics name the Server."""
    address = mesh.replicas()["governed-0"]["address"]
    assert call("speaks_first", address, 9001, by="stranger-0") == GREETED
    labels = {"srv_kind": "server", "srv_name": "greeting", "srv_group": "policy.linkerd.io"}
    assert mesh.counted("governed-0", "inbound_tcp_authz_allow_total", labels) == 1


def test_a_server_without_access_policy_lets_nobody_in(mesh: Mesh, call: Call) -> None:
    """Requirement: the default is deny: the connection is reset, and counted under the Server's name."""
    assert call("is_reset", "governed", 9006) == {"end": "reset"}
    denied = {"srv_kind": "server", "srv_name": "shut"}
    assert mesh.counted("governed-0", "inbound_tcp_authz_deny_total", denied) == 1


def test_the_servers_end_is_only_the_servers(call: Call) -> None:
    """Requirement: a server that has finished still hears the client."""
    assert call("hear_the_end_first", "bytes", 9002) == {"said": "all I say"}
    wait_until(lambda: {"after my end": "still here"} in call("seen", "bytes", 9000)["seen"], "the server has heard it")


def test_a_reset_by_the_server_is_a_reset(call: Call) -> None:
    """Requirement: the client sees a reset, not an end."""
    assert call("is_reset", "bytes", 9003) == {"end": "reset"}


def test_a_reset_by_the_client_is_a_reset(call: Call) -> None:
    """Requirement: the server sees a reset, not an end."""
    assert call("resets", "bytes", 9004) == {"heard": "go on\n"}
    wait_until(lambda: {"ended": "reset"} in call("seen", "bytes", 9000)["seen"], "the server has seen it")
    assert {"ended": "in order"} not in call("seen", "bytes", 9000)["seen"]


def test_a_port_where_nobody_listens_is_a_reset(mesh: Mesh, call: Call) -> None:
    """Requirement: what cannot be passed on does not end as if it had been."""
    assert call("is_reset", mesh.replicas()["bytes-0"]["address"], 9007) == {"end": "reset"}


def test_foreign_tls_passes_and_is_named(mesh: Mesh, call: Call) -> None:
    """Requirement: the application's own TLS arrives untouched; its server name is a label on either side."""
    sent = call("secured", "bytes", 9005, SHOP)
    assert sent["same"]
    assert ["DNS", SHOP] in sent["names"]
    seen = {"direction": "outbound", "peer": "src", "tls": "opaque", "sni": SHOP}
    assert mesh.counted("client-0", "tcp_open_total", seen) == 1

    address = mesh.replicas()["bytes-0"]["address"]
    assert call("secured", address, 9005, STALL, by="stranger-0")["same"]
    seen = {"direction": "inbound", "peer": "src", "tls": "opaque", "sni": STALL}
    assert mesh.counted("bytes-0", "tcp_open_total", seen) == 1


def test_proxy_protocol_passes_untouched(call: Call) -> None:
    """Requirement: a PROXY header, and what looks like HTTP behind it, are bytes."""
    assert call("proxy_protocol", "bytes", 9006) == {"same": [True, True]}


def test_a_silent_connection_is_kept_alive(mesh: Mesh, python: Python) -> None:
    """Requirement: between the proxies both ends probe a connection on which nothing moves."""
    silent = mesh.background("client-0", *python.command("byte_client.py", "idle", "bytes", 9006, 3600))

    def probed(replica: str) -> bool:
        wanted = "dport = :4143" if replica == "client-0" else "sport = :4143"
        timers = mesh.exec(replica, "ss", "-Htno", "state", "established", f"( {wanted} )").splitlines()
        return bool(timers) and all("timer:(keepalive," in each for each in timers)

    for replica in ("client-0", "bytes-0"):
        wait_until(lambda replica=replica: probed(replica), f"{replica} probes")
    silent.terminate()
    silent.communicate()


def test_what_is_open_when_a_proxy_ends_is_reset(mesh: Mesh, python: Python) -> None:
    """Requirement: a stream that a stopping proxy cuts off after its grace period does not look complete."""
    cut_off = mesh.background("leaver-0", *python.command("byte_client.py", "is_reset_late", "bytes", 9006))
    assert cut_off.stdout
    assert cut_off.stdout.readline() == "connected\n"
    mesh.signal(mesh.replicas()["leaver-0"]["proxy_pid"], signal.SIGTERM)
    said, _ = cut_off.communicate()
    assert json.loads(said) == {"end": "reset"}


def test_a_skipped_inbound_port_is_the_applications_own(mesh: Mesh, call: Call) -> None:
    """Requirement: skip-inbound-ports takes numbers and ranges, even overlapping; what comes there meets no proxy."""
    address = mesh.replicas()["skipped-0"]["address"]
    assert call("speaks_first", address, 9001, by="stranger-0") == GREETED
    assert mesh.counted("skipped-0", "tcp_open_total", {"direction": "inbound", "target_port": "9001"}) == 0


def test_a_skipped_outbound_port_goes_past_the_proxy(mesh: Mesh, call: Call) -> None:
    """Requirement: with skip-outbound-ports a Service's port is reached without the client's proxy."""
    assert call("echo", "bytes", 9006, by="skipping-0") == {"same": True}
    port = {"direction": "outbound", "target_port": "9006"}
    assert mesh.counted("skipping-0", "tcp_open_total", port) == 0
    plain = {"direction": "inbound", "peer": "src", "target_port": "9006", "no_tls_reason": "no_tls_from_remote"}
    assert mesh.counted("bytes-0", "tcp_open_total", plain) == 1


def self_signed(*names: str) -> bytes:
    """A key and a certificate of its own for these names, as one PEM text."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(
            subject, subject, key.public_key(), x509.random_serial_number(), now, now + timedelta(1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*plain) + certificate.public_bytes(serialization.Encoding.PEM)
