"""What local mode takes from a mesh file: workloads as values, everything else also as it was written."""

from collections.abc import Mapping
from dataclasses import dataclass

from weft.model import Namespace, Service, Workload


@dataclass(frozen=True, slots=True)
class Written:
    """A document for the control plane: Kubernetes-shaped content and the `FILE:LINE` it stands at."""

    kind: str
    namespace: str
    name: str
    content: Mapping[str, object]
    origin: str

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Documents:
    """All documents of a mesh. `written` has those of every kind but Workload; `env_files` the content of workloads' files."""

    workloads: tuple[Workload, ...] = ()
    services: tuple[Service, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    written: tuple[Written, ...] = ()
    env_files: Mapping[str, Mapping[str, str]] | None = None
    """Workload key (`namespace/name`) -> variables that its `envFile` sets."""
