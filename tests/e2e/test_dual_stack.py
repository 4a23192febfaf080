"""IPv6 beside IPv4: every protocol by either family, with proxies and without, wherever the server listens."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.applications import FILES, UNMESHED, Python, ask, idle, text
from tests.e2e.load import calls

from weft.testing import Mesh

pytestmark = pytest.mark.e2e
CLIENT = "client.default.serviceaccount.identity.weft.cluster.local"
MESHED, PLAIN = "client-0", "stranger-0"
CALLS = 600
LEAST_SHARE = 5
"""Per cent of the calls that each of three replicas gets at least; how even it is, more calls show elsewhere."""
LISTENING = {"six": "own6", "both": "::", "four": "0.0.0.0"}
"""Workload -> where its server listens."""

Address = Callable[[str], str]


@pytest.fixture(scope="module")
def mesh(python: Python) -> Iterator[Mesh]:
    servers = [python.server(name, 3 if name == "both" else 1) for name in LISTENING]
    servers += [python.server(f"plain-{name}", **UNMESHED) for name in ("both", "four")]
    for server in servers:
        server["spec"]["env"] = {"LISTEN": LISTENING[server["metadata"]["name"].removeprefix("plain-")]}
    with Mesh(text(*servers, idle("client"), idle("stranger", **UNMESHED)), FILES, "dual") as mesh:
        yield mesh


@pytest.fixture(scope="module")
def ipv6(mesh: Mesh) -> Address:
    """The IPv6 address behind a name, as a program without IPv4 finds it."""
    return lambda name: mesh.exec(MESHED, "getent", "ahostsv6", name).split()[0]


@pytest.fixture(scope="module")
def ipv4(mesh: Mesh) -> Address:
    return lambda name: mesh.exec(MESHED, "getent", "ahostsv4", name).split()[0]


def grpc(mesh: Mesh, python: Python, replica: str, address: str) -> Any:
    target = f"[{address}]:8080" if ":" in address else f"{address}:8080"
    return ask(mesh, python, replica, "rpc.py", "unary", target)


@pytest.mark.parametrize("server", LISTENING)
def test_every_protocol_by_ipv6(mesh: Mesh, python: Python, ipv6: Address, server: str) -> None:
    """Requirement: gRPC, HTTP/1.1 and bytes arrive by IPv6 with the client's identity, at a server on 0.0.0.0 too."""
    address = ipv6(server)
    assert address.startswith("fd")
    said = grpc(mesh, python, MESHED, address)
    assert (said["answer"], said["code"], said["trailers"]["x-client"]) == ("hello", "OK", CLIENT)
    (first, *_) = ask(mesh, python, MESHED, "raw.py", "keep_alive", address, 8081)["answers"]
    assert first["headers"]["l5d-client-id"] == CLIENT
    assert first["headers"]["host"] == f"[{address}]:8081"
    assert ask(mesh, python, MESHED, "raw.py", "speaks_first", address, 8082)["answer"] == "250 hello test\n"


def test_a_server_without_ipv4_is_reached_by_it(mesh: Mesh, python: Python, ipv4: Address) -> None:
    """Requirement: behind its proxy a program that listens on IPv6 only answers clients that know IPv4 only."""
    said = grpc(mesh, python, MESHED, ipv4("six"))
    assert (said["answer"], said["trailers"]["x-client"]) == ("hello", CLIENT)


def test_a_replica_is_reached_by_its_own_address(mesh: Mesh, python: Python) -> None:
    """Requirement: past its Service too, a replica's IPv6 address means mutual TLS with that replica."""
    hosts = mesh.exec("both-1", "cat", "/etc/hosts")
    (address,) = re.findall(r"^(fd\S+) both-1$", hosts, re.MULTILINE)
    trailers = grpc(mesh, python, MESHED, address)["trailers"]
    assert (trailers["x-replica"], trailers["x-client"]) == ("both-1", CLIENT)


@pytest.mark.parametrize("server", ["both", "four", "plain-both"])
def test_a_client_without_a_proxy(mesh: Mesh, python: Python, ipv6: Address, server: str) -> None:
    """Requirement: IPv6 without a proxy at the client, or at both ends; nobody is given an identity for it."""
    said = grpc(mesh, python, PLAIN, ipv6(server))
    assert (said["answer"], said["trailers"]["x-client"]) == ("hello", "")


@pytest.mark.parametrize("server", ["plain-both", "plain-four"])
def test_a_server_without_a_proxy(mesh: Mesh, python: Python, ipv6: Address, server: str) -> None:
    """Requirement: the client's proxy goes on by IPv4 to a program that does not listen on IPv6."""
    assert grpc(mesh, python, MESHED, ipv6(server))["answer"] == "hello"


def test_without_any_proxy_a_family_that_is_not_listened_on_is_refused_at_once(
    mesh: Mesh, python: Python, ipv6: Address
) -> None:
    """Requirement: nothing stands in for IPv6 then; a client that tries it hears so at once, and goes on by IPv4."""
    knock = f"import socket; print(socket.socket(socket.AF_INET6).connect_ex(({ipv6('plain-four')!r}, 8081)))"
    assert mesh.exec(PLAIN, python.program, "-c", knock) == "111\n"
    assert ask(mesh, python, PLAIN, "raw.py", "keep_alive", "plain-four", 8081)["answers"]


def test_the_family_of_the_request_is_kept(mesh: Mesh, python: Python, ipv6: Address, ipv4: Address) -> None:
    """Requirement: three replicas share what comes by IPv6, over IPv6 connections, and what comes by IPv4 goes by IPv4.

    Linkerd takes the IPv6 endpoint whatever the client chose (linkerd2 12733).
    """
    found = calls(mesh, python, MESHED, f"[{ipv6('both')}]:8080", 8, CALLS)
    assert found.failed == 0, found.reasons
    for name in ("both-0", "both-1", "both-2"):
        assert found.share(name) >= LEAST_SHARE, found
    assert families(mesh) == {"IPv6"}
    assert calls(mesh, python, MESHED, f"{ipv4('both')}:8080", 8, 100).failed == 0
    assert families(mesh) == {"IPv4", "IPv6"}


def families(mesh: Mesh) -> set[str]:
    """The families in which the client's proxy has connected to the gRPC port of `both`."""
    opened = [each.labels for each in mesh.metrics(MESHED) if each.name == "tcp_open_total"]
    addresses = [
        labels["target_addr"]
        for labels in opened
        if labels.get("dst_service") == "both" and labels["target_addr"].endswith(":8080")
    ]
    return {"IPv6" if address.startswith("[fd") else "IPv4" for address in addresses}


def test_names_and_addresses(mesh: Mesh, python: Python, ipv6: Address) -> None:
    """Requirement: glibc offers IPv4 first, so programs on 0.0.0.0 are found at the first try; addresses have names."""
    assert Path("/etc/gai.conf").exists(), "apt-get install libc-bin"
    look = (
        "import json, socket; found = socket.getaddrinfo('both', 8080, type=socket.SOCK_STREAM);"
        f"name = socket.gethostbyaddr({ipv6('both')!r})[0];"
        "print(json.dumps([[each[0].name for each in found], name]))"
    )
    for replica in (MESHED, PLAIN):
        families, name = json.loads(mesh.exec(replica, python.program, "-c", look))
        assert families == ["AF_INET", "AF_INET6"]
        assert name == "both.default.svc.cluster.local"


def test_loopback_has_both_families(mesh: Mesh, python: Python) -> None:
    """Requirement: ::1 is up in a replica, and what a program says to itself never meets the proxy."""
    talk = (
        "import socket; server = socket.create_server(('::1', 7000), family=socket.AF_INET6);"
        "client = socket.create_connection(('::1', 7000), 5); print(server.accept()[1][0])"
    )
    assert mesh.exec(MESHED, python.program, "-c", talk) == "::1\n"
