"""What local mode takes from a mesh file: workloads as values, every document also as it was written."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from weft.local.overrides import Overrides
from weft.model import Namespace, Service, Workload


@dataclass(frozen=True, slots=True)
class Written:
    """A document: Kubernetes-shaped content and the `FILE:LINE` it stands at."""

    group: str
    kind: str
    namespace: str
    name: str
    content: Mapping[str, object]
    origin: str

    @property
    def key(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Documents:
    """All documents of a mesh; `written` has those of every kind."""

    workloads: tuple[Workload, ...] = ()
    services: tuple[Service, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    written: tuple[Written, ...] = ()
    env_files: Mapping[str, Mapping[str, str]] | None = None
    """Workload key (`namespace/name`) -> variables that its `envFile` sets."""
    overrides: Overrides = field(default_factory=Overrides)
    """What of the changes by command is still in force: it is part of the documents already."""
