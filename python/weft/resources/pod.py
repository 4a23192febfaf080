"""The kind Pod, as the Kubernetes API and local mode write it. Fields of no use to the mesh are not looked at."""

import msgspec

from weft.lib.errors import Problem
from weft.model.family import plain
from weft.model.meta import Meta
from weft.model.pod import ContainerPort, Owner, Pod, ProbePath
from weft.resources.decode import decode
from weft.resources.metadata import Metadata, meta
from weft.resources.tree import Tree
from weft.resources.workload import PortNumber


class Written(msgspec.Struct, frozen=True, rename="camel"):
    """What all parts of the kind share."""


class WrittenPort(Written, frozen=True):
    container_port: PortNumber
    name: str = ""
    protocol: str = "TCP"


class WrittenGet(Written, frozen=True):
    port: PortNumber | str
    path: str = "/"


class WrittenProbe(Written, frozen=True):
    http_get: WrittenGet | None = None


class WrittenContainer(Written, frozen=True):
    name: str = ""
    ports: tuple[WrittenPort, ...] = ()
    readiness_probe: WrittenProbe | None = None
    liveness_probe: WrittenProbe | None = None
    startup_probe: WrittenProbe | None = None


class WrittenSpec(Written, frozen=True):
    containers: tuple[WrittenContainer, ...] = ()
    init_containers: tuple[WrittenContainer, ...] = ()
    node_name: str = ""
    service_account_name: str = "default"
    hostname: str = ""
    subdomain: str = ""


class WrittenIp(Written, frozen=True, rename={"ip": "ip"}):
    ip: str


class WrittenCondition(Written, frozen=True):
    type: str
    status: str


class WrittenStatus(Written, frozen=True, rename={"pod_ip": "podIP", "pod_ips": "podIPs"}):
    pod_ip: str = ""
    pod_ips: tuple[WrittenIp, ...] = ()
    phase: str = ""
    conditions: tuple[WrittenCondition, ...] = ()


class WrittenPod(Written, frozen=True):
    metadata: Metadata
    spec: WrittenSpec = WrittenSpec()
    status: WrittenStatus = WrittenStatus()


def parse(tree: Tree, group: str, kind: str) -> Pod | list[Problem]:
    """A Pod, or what is wrong with it."""
    written = decode(tree, WrittenPod)
    if isinstance(written, list):
        return written
    about = meta(tree, group, kind, written.metadata)
    if not isinstance(about, Meta):
        return about
    spec, status = written.spec, written.status
    containers = (*spec.init_containers, *spec.containers)
    ports = tuple(
        ContainerPort(port.name, port.container_port)
        for container in containers
        for port in container.ports
        if port.protocol == "TCP"
    )
    try:
        ips = [plain(ip) for ip in (status.pod_ip, *(entry.ip for entry in status.pod_ips)) if ip]
    except ValueError as error:
        return [tree.problem(("status",), "bad-address", str(error))]
    ready = any(condition.type == "Ready" and condition.status == "True" for condition in status.conditions)
    finished = status.phase in ("Succeeded", "Failed")
    owner = next(iter(written.metadata.owner_references), None)
    return Pod(
        meta=about,
        ips=() if finished else tuple(dict.fromkeys(ips)),
        ready=ready and not finished and not written.metadata.deletion_timestamp,
        service_account=spec.service_account_name,
        node=spec.node_name,
        hostname=spec.hostname,
        subdomain=spec.subdomain,
        ports=ports,
        probes=_probes(containers, {port.name: port.port for port in ports if port.name}),
        owner=Owner(owner.kind, owner.name) if owner else None,
    )


def _probes(containers: tuple[WrittenContainer, ...], names: dict[str, int]) -> tuple[ProbePath, ...]:
    paths: dict[ProbePath, None] = {}
    for container in containers:
        for probe in (container.readiness_probe, container.liveness_probe, container.startup_probe):
            if probe is None or probe.http_get is None:
                continue
            port = probe.http_get.port
            number = port if isinstance(port, int) else names.get(port)
            if number is not None:
                paths[ProbePath(number, "/" + probe.http_get.path.partition("?")[0].lstrip("/"))] = None
    return tuple(paths)
