"""The kind Workload (`mesh.weft.dev/v1alpha1`): what a mesh file says about the processes of this machine."""

from typing import Annotated, Literal

import msgspec

from weft.lib.errors import Problem
from weft.model.meta import Meta
from weft.model.ports import LISTS, unreadable
from weft.model.workload import (
    ExecCheck,
    GrpcCheck,
    HttpCheck,
    Probe,
    Publish,
    TcpCheck,
    Workload,
    WorkloadPort,
)
from weft.resources.decode import decode, field_names, mapping_problems
from weft.resources.metadata import Metadata, meta, name_problems
from weft.resources.tree import Path, Tree

PortNumber = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]


class Shape(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What all parts of a Workload share: a field that nobody reads is a typing error, not a comment."""


class WrittenPort(Shape, frozen=True):
    port: PortNumber
    name: str = ""
    app_protocol: str = ""
    protocol: Literal["TCP"] = "TCP"


class WrittenTcp(Shape, frozen=True):
    port: PortNumber | str


class WrittenHttp(Shape, frozen=True):
    port: PortNumber | str
    path: str = "/"


class WrittenGrpc(Shape, frozen=True):
    port: PortNumber | str
    service: str = ""


class WrittenExec(Shape, frozen=True):
    command: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


class WrittenProbe(Shape, frozen=True):
    tcp_socket: WrittenTcp | None = None
    http_get: WrittenHttp | None = None
    grpc: WrittenGrpc | None = None
    exec: WrittenExec | None = None
    initial_delay_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0
    period_seconds: Seconds = 1
    timeout_seconds: Seconds = 1
    failure_threshold: Annotated[int, msgspec.Meta(ge=1)] = 3


class WrittenPublish(Shape, frozen=True):
    port: PortNumber | str
    listen: str


class WrittenSpec(Shape, frozen=True):
    command: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    replicas: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 1
    ports: tuple[WrittenPort, ...] = ()
    service_account: str = ""
    env: dict[str, object] = {}
    env_file: str | None = None
    working_dir: str = "."
    readiness: WrittenProbe | None = None
    liveness: WrittenProbe | None = None
    startup: WrittenProbe | None = None
    publish: tuple[WrittenPublish, ...] = ()
    depends_on: tuple[str, ...] = ()
    restart: Literal["always", "never"] = "always"
    retries: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    egress: Literal["closed", "host"] | None = None


class WrittenWorkload(Shape, frozen=True):
    api_version: str
    kind: str
    metadata: Metadata
    spec: WrittenSpec


KNOWN = field_names(
    WrittenWorkload, WrittenSpec, WrittenPort, WrittenProbe, WrittenPublish, WrittenHttp, WrittenGrpc, WrittenExec
)


def parse(tree: Tree, group: str, kind: str) -> Workload | list[Problem]:
    """A Workload, or everything that is wrong with it."""
    written = decode(tree, WrittenWorkload, KNOWN)
    if isinstance(written, list):
        return written
    about = meta(tree, group, kind, written.metadata)
    problems = [] if isinstance(about, Meta) else about
    spec = written.spec
    problems += mapping_problems(tree, ("spec", "env"), spec.env)
    if spec.service_account:
        problems += name_problems(tree, ("spec", "serviceAccount"), spec.service_account)
    problems += _port_problems(tree, spec) + _list_problems(tree, written.metadata)
    if spec.retries and spec.restart != "never":
        reason = "`retries` is of a job, and this workload is started again always"
        problems.append(tree.problem(("spec", "retries"), "wrong-value", reason, "add `restart: never`, or remove it"))
    ports = _Ports(tree, {port.name: port.port for port in spec.ports if port.name}, problems)
    readiness = _probe(ports, "readiness", spec.readiness)
    liveness, startup = _probe(ports, "liveness", spec.liveness), _probe(ports, "startup", spec.startup)
    publish = tuple(_publish(ports, index, item, spec) for index, item in enumerate(spec.publish))
    if problems or not isinstance(about, Meta):
        return problems
    return Workload(
        meta=about,
        command=spec.command,
        replicas=spec.replicas,
        ports=tuple(WorkloadPort(port.name, port.port, port.app_protocol) for port in spec.ports),
        service_account=spec.service_account or about.name,
        env={key: str(value) for key, value in spec.env.items()},
        env_file=spec.env_file,
        working_dir=spec.working_dir,
        readiness=readiness,
        liveness=liveness,
        startup=startup,
        publish=publish,
        depends_on=spec.depends_on,
        restart=spec.restart,
        retries=spec.retries,
        egress=spec.egress,
    )


class _Ports:
    """Resolves ports given by name, and gathers the Problems of those that do not exist."""

    def __init__(self, tree: Tree, names: dict[str, int], problems: list[Problem]) -> None:
        self.tree, self.names, self.problems = tree, names, problems

    def number(self, path: Path, port: int | str) -> int:
        if isinstance(port, int):
            return port
        if port not in self.names:
            named = ", ".join(f"`{name}`" for name in sorted(self.names)) or "none"
            self.report(path, "unknown-port", f"no port is named `{port}`", f"names in spec.ports: {named}")
        return self.names.get(port, 0)

    def report(self, path: Path, code: str, reason: str, hint: str = "") -> None:
        self.problems.append(self.tree.problem(path, code, reason, hint))


def _port_problems(tree: Tree, spec: WrittenSpec) -> list[Problem]:
    problems: list[Problem] = []
    seen: set[int | str] = set()
    for index, port in enumerate(spec.ports):
        for field, value in (("port", port.port), ("name", port.name)):
            if value and value in seen:
                path = ("spec", "ports", index, field)
                problems.append(tree.problem(path, "duplicate-port", f"{field} `{value}` is listed twice"))
            seen.add(value)
    return problems


def _list_problems(tree: Tree, metadata: Metadata) -> list[Problem]:
    """One Problem for each annotation that should be a list of ports; only of a Workload, which nobody else reads."""
    problems = []
    for name in LISTS:
        wrong = unreadable(str(metadata.annotations.get(name, "")))
        if wrong:
            path: Path = ("metadata", "annotations", name)
            reason = f"`{name}`: {', '.join(f'`{part}`' for part in wrong)} is no port"
            problems.append(tree.problem(path, "wrong-value", reason, 'for example "25,587,3000-3010"'))
    return problems


def _probe(ports: _Ports, which: str, written: WrittenProbe | None) -> Probe | None:
    if written is None:
        return None
    path: Path = ("spec", which)
    checks: list[TcpCheck | HttpCheck | GrpcCheck | ExecCheck] = []
    if (tcp := written.tcp_socket) is not None:
        checks.append(TcpCheck(ports.number((*path, "tcpSocket", "port"), tcp.port)))
    if (http := written.http_get) is not None:
        checks.append(HttpCheck(ports.number((*path, "httpGet", "port"), http.port), http.path))
    if (grpc := written.grpc) is not None:
        checks.append(GrpcCheck(ports.number((*path, "grpc", "port"), grpc.port), grpc.service))
    if (run := written.exec) is not None:
        checks.append(ExecCheck(run.command))
    if len(checks) != 1:
        hint = "give one of tcpSocket, httpGet, grpc, exec"
        ports.report(path, "bad-probe", f"{which} has {len(checks)} checks, it takes exactly one", hint)
        return None
    delay, period, timeout = written.initial_delay_seconds, written.period_seconds, written.timeout_seconds
    return Probe(checks[0], delay, period, timeout, written.failure_threshold)


def _publish(ports: _Ports, index: int, written: WrittenPublish, spec: WrittenSpec) -> Publish:
    path: Path = ("spec", "publish", index)
    port = ports.number((*path, "port"), written.port)
    listed = [each.port for each in spec.ports]
    if port and port not in listed:
        hint = f"spec.ports lists {', '.join(map(str, listed)) or 'none'}"
        ports.report((*path, "port"), "unknown-port", f"port {port} is not one of the workload's ports", hint)
    host, colon, number = written.listen.rpartition(":")
    if not (number.isdecimal() and 0 <= int(number) <= 65535) or (colon and not host):
        hint = 'for example "127.0.0.1:9000"'
        ports.report((*path, "listen"), "bad-address", f"`{written.listen}` is not an address and a port", hint)
        return Publish(port, host, 0)
    return Publish(port, host.strip("[]") or "127.0.0.1", int(number))
