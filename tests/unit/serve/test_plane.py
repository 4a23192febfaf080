"""The control plane as a whole, in this process, asked by an ordinary grpc.aio client."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import grpc
import pytest

from weft.gen import (
    destination_pb2,
    destination_pb2_grpc,
    inbound_pb2,
    inbound_pb2_grpc,
    net_pb2,
    outbound_pb2,
    outbound_pb2_grpc,
)
from weft.identity import authority, tokens
from weft.lib import clock
from weft.model.settings import Settings
from weft.serve import plane

pytestmark = pytest.mark.anyio
DEADLINE = 20.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Mesh:
    """A running control plane and what a test needs to talk to it."""

    objects: Path
    issuer: Path
    key: tokens.KeyPair
    ports: plane.Ports

    def write(self, name: str, *documents: dict[str, Any]) -> None:
        """Put documents into the objects directory as local mode does: by rename."""
        draft = self.objects / f".{name}.draft"
        draft.write_text("\n---\n".join(json.dumps(each) for each in documents))
        draft.rename(self.objects / f"{name}.yaml")


@asynccontextmanager
async def mesh(path: Path, start: Callable[[Path], None] = lambda objects: None) -> AsyncIterator[Mesh]:
    objects, issuer, key_file = path / "objects", path / "issuer", path / "token.pub"
    objects.mkdir()
    authority.create(issuer, "cluster.local", datetime.now(UTC))
    key = tokens.create_key()
    key_file.write_bytes(key.public)
    start(objects)
    options = plane.Options(
        objects=objects,
        issuer_directory=issuer,
        token_key=key_file,
        settings=Settings(),
        listen="127.0.0.1",
        identity_port=0,
        destination_port=0,
        policy_port=0,
        admin_port=0,
    )
    async with asyncio.timeout(DEADLINE), plane.running(options, clock.system) as ports:
        yield Mesh(objects, issuer, key, ports)


def service(name: str = "web", ip: str = "198.19.0.1", port: int = 80) -> dict[str, Any]:
    ports = [{"port": port, "targetPort": 8080}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"clusterIP": ip, "selector": {"app": name}, "ports": ports},
    }


def pod(name: str, ip: str, app: str = "web") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": app, "linkerd.io/control-plane-ns": "weft"}},
        "spec": {"serviceAccountName": app},
        "status": {"podIP": ip, "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def shown(address: net_pb2.TcpAddress) -> str:
    return f"{IPv4Address(address.ip.ipv4)}:{address.port}"


def channel(port: int) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}")


async def test_a_pod_that_appears_is_added_within_the_open_stream_and_one_that_goes_is_removed(tmp_path: Path) -> None:
    """Requirement: Get sends the whole set first, then only what changed, on the same stream."""
    async with mesh(tmp_path) as running, channel(running.ports.destination) as to:
        running.write("web", service())
        running.write("web-0", pod("web-0", "198.18.0.1"))
        stub = destination_pb2_grpc.DestinationStub(to)
        request = destination_pb2.GetDestination(path="web.default.svc.cluster.local:80")
        stream = await _until_known(stub, request)
        first = await stream.read()
        while first.WhichOneof("update") != "add":  # the Service's file may be read before the pod's
            first = await stream.read()
        (one,) = first.add.addrs
        assert shown(one.addr) == "198.18.0.1:8080"
        assert one.tls_identity.dns_like_identity.name == "web.default.serviceaccount.identity.weft.cluster.local"
        assert one.protocol_hint.opaque_transport.inbound_port == 4143
        assert one.protocol_hint.WhichOneof("protocol") == "h2"
        assert dict(first.add.metric_labels) == {"namespace": "default", "service": "web"}

        running.write("web-1", pod("web-1", "198.18.0.2"))
        second = await stream.read()
        assert [shown(each.addr) for each in second.add.addrs] == ["198.18.0.2:8080"]

        (running.objects / "web-0.yaml").unlink()
        third = await stream.read()
        assert [shown(each) for each in third.remove.addrs] == ["198.18.0.1:8080"]
        stream.cancel()


async def test_a_service_that_goes_empties_the_stream_and_keeps_it(tmp_path: Path) -> None:
    """Requirement: a deleted Service is `no_endpoints{exists: false}` on the open stream, and may come back on it."""

    def start(objects: Path) -> None:
        (objects / "web.json").write_text(json.dumps(service()))
        (objects / "pod.json").write_text(json.dumps(pod("web-0", "198.18.0.1")))

    async with mesh(tmp_path, start) as running, channel(running.ports.destination) as to:
        request = destination_pb2.GetDestination(path="web.default.svc.cluster.local:80")
        stream = destination_pb2_grpc.DestinationStub(to).Get(request)
        assert (await stream.read()).WhichOneof("update") == "add"
        (running.objects / "web.json").unlink()
        gone = await stream.read()
        assert gone.no_endpoints.exists is False
        assert gone.WhichOneof("update") == "no_endpoints"
        running.write("again", service())
        assert len((await stream.read()).add.addrs) == 1
        stream.cancel()


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("nobody.default.svc.cluster.local:80", grpc.StatusCode.NOT_FOUND),
        ("198.18.0.1:8080", grpc.StatusCode.INVALID_ARGUMENT),
        ("example.org:443", grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_names_that_are_no_service_are_refused_with_linkerds_codes(
    tmp_path: Path, path: str, code: grpc.StatusCode
) -> None:
    """Requirement: Get answers unknown Services NOT_FOUND, addresses and foreign names INVALID_ARGUMENT."""
    async with mesh(tmp_path) as running, channel(running.ports.destination) as to:
        stream = destination_pb2_grpc.DestinationStub(to).Get(destination_pb2.GetDestination(path=path))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stream.read()
        assert refused.value.code() is code


async def test_a_bad_file_leaves_the_last_good_state_in_force(tmp_path: Path) -> None:
    """Requirement: what a user breaks while editing is logged; what was there before still answers."""

    def start(objects: Path) -> None:
        (objects / "web.json").write_text(json.dumps(service()))

    async with mesh(tmp_path, start) as running, channel(running.ports.policy) as to:
        running.write("web", service(name="other", ip="198.19.0.2"))
        (running.objects / "web.json").write_text("{")
        stub = outbound_pb2_grpc.OutboundPoliciesStub(to)
        for ip in ("198.19.0.2", "198.19.0.1"):
            await _until_default(stub, ip, "Service")


async def test_policies_answer_a_meshed_pair(tmp_path: Path) -> None:
    """Requirement: ClusterIP gives a balancer over the Service, the server's port the default inbound policy."""

    def start(objects: Path) -> None:
        (objects / "web.json").write_text(json.dumps(service()))
        (objects / "pod.json").write_text(json.dumps(pod("web-0", "198.18.0.1")))

    async with mesh(tmp_path, start) as running, channel(running.ports.policy) as to:
        outbound = outbound_pb2_grpc.OutboundPoliciesStub(to)
        policy = await outbound.Get(_traffic("198.19.0.1", 80))
        rule = policy.protocol.detect.http2.routes[0].rules[0]
        (backend,) = rule.backends.first_available.backends
        assert backend.backend.balancer.discovery.dst.path == "web.default.svc.cluster.local:80"
        assert backend.backend.queue.capacity == 100
        closed = await outbound.Get(_traffic("198.19.0.1", 81))
        assert closed.protocol.opaque.routes[0].rules[0].filters[0].WhichOneof("kind") == "forbidden"
        away = await outbound.Get(_traffic("192.0.2.7", 443))
        forward = away.protocol.detect.opaque.routes[0].rules[0].backends.first_available.backends[0].backend.forward
        assert shown(forward.addr) == "192.0.2.7:443"

        inbound = inbound_pb2_grpc.InboundServerPoliciesStub(to)
        spec = inbound_pb2.PortSpec(workload='{"ns":"default","pod":"web-0"}', port=8080)
        stream = inbound.WatchPort(spec)
        server = await stream.read()
        assert dict(server.labels) == {"group": "", "kind": "default", "name": "all-unauthenticated"}
        assert server.protocol.detect.timeout.seconds == 10
        document = pod("web-0", "198.18.0.1")
        document["metadata"]["annotations"] = {"config.linkerd.io/default-inbound-policy": "all-authenticated"}
        running.write("pod", document)
        (running.objects / "pod.json").unlink()
        while server.labels["name"] != "all-authenticated":
            server = await stream.read()
        (grant,) = server.authorizations
        assert grant.authentication.meshTLS.identities.suffixes[0].parts == []
        stream.cancel()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await inbound.GetPort(inbound_pb2.PortSpec(workload='{"ns":"default","pod":"nobody"}', port=1))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_the_admin_port_says_ready_and_shows_metrics(tmp_path: Path) -> None:
    """Requirement: /ready answers 200 once the first snapshot is in and the servers listen."""
    async with mesh(tmp_path) as running:
        assert b"200 OK" in await _http(running.ports.admin, "/ready")
        assert b"weft_documents 0.0" in await _http(running.ports.admin, "/metrics")
        assert b"404 Not Found" in await _http(running.ports.admin, "/else")


async def test_a_taken_port_is_refused_instead_of_shared(tmp_path: Path) -> None:
    """Requirement: a second control plane on the same ports fails, it does not get half of the proxies."""
    async with mesh(tmp_path) as running:
        server = grpc.aio.server(options=plane.SERVER_OPTIONS)
        with pytest.raises(RuntimeError):
            server.add_insecure_port(f"127.0.0.1:{running.ports.destination}")


async def _http(port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


async def _until_known(stub: destination_pb2_grpc.DestinationStub, request: destination_pb2.GetDestination) -> Any:
    """Return a stream once the Service is known, as a proxy does: by asking again."""
    profiles = stub.GetProfile(request)
    while True:
        try:
            await profiles.read()
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            profiles = stub.GetProfile(request)
        else:
            profiles.cancel()
            return stub.Get(request)


async def _until_default(stub: outbound_pb2_grpc.OutboundPoliciesStub, ip: str, kind: str) -> None:
    stream = stub.Watch(_traffic(ip, 80))
    policy = await stream.read()
    while policy.metadata.resource.kind != kind:
        policy = await stream.read()
    stream.cancel()


def _traffic(ip: str, port: int) -> outbound_pb2.TrafficSpec:
    address = net_pb2.TcpAddress(ip=net_pb2.IPAddress(ipv4=int(IPv4Address(ip))), port=port)
    return outbound_pb2.TrafficSpec(source_workload='{"ns":"default","pod":"c"}', addr=address)
