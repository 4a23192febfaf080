"""A Workload: the process of this machine that stands in for a pod. Only local mode reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from weft.model.meta import Meta


@dataclass(frozen=True, slots=True)
class WorkloadPort:
    """A port that the application listens on. `app_protocol` has the words of a Service's `appProtocol`."""

    name: str
    port: int
    app_protocol: str = ""


@dataclass(frozen=True, slots=True)
class TcpCheck:
    """Ready when a connection to `port` is accepted."""

    port: int


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """Ready when a GET answers 200 to 399."""

    port: int
    path: str


@dataclass(frozen=True, slots=True)
class GrpcCheck:
    """Ready when grpc.health.v1 says SERVING for `service` (empty: the server as a whole)."""

    port: int
    service: str


@dataclass(frozen=True, slots=True)
class ExecCheck:
    """Ready when the command, run beside the application, ends with 0."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """How to tell whether a replica has started, can take requests, or should be started again; times in seconds."""

    check: TcpCheck | HttpCheck | GrpcCheck | ExecCheck
    initial_delay: float
    period: float
    timeout: float
    failure_threshold: int


@dataclass(frozen=True, slots=True)
class Publish:
    """A port of the workload that can be reached from the host at `host`:`listen`."""

    port: int
    host: str
    listen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """`replicas` processes of one command. Paths are as written: relative to the file in `meta.origin`."""

    meta: Meta
    command: tuple[str, ...]
    replicas: int
    ports: tuple[WorkloadPort, ...]
    service_account: str
    env: Mapping[str, str]
    env_file: str | None
    working_dir: str
    readiness: Probe | None
    liveness: Probe | None
    """The application is started again when this fails."""
    startup: Probe | None
    """Asked first, until it passes: the other two wait for it."""
    publish: tuple[Publish, ...]
    depends_on: tuple[str, ...]
    restart: Literal["always", "never"]
    retries: int = 0
    """How often a workload that is not restarted (`restart: never`) is, when it fails."""
    egress: Literal["closed", "host"] | None = None
    """Whether what lies outside of the mesh is reached, by the host's network; None: as the mesh has it."""
