"""A Server (policy.linkerd.io): one port of the pods that it selects, what is spoken there, who may come."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from weft.model.meta import Meta
from weft.model.pod import Pod


class Operator(Enum):
    """How an expression looks at a label."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class Expression:
    """What one label must be; `values` is empty for the two operators that ask only whether it is there."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether labels satisfy it; a label that is absent satisfies NotIn, as in Kubernetes."""
        present = self.key in labels
        return {
            Operator.IN: present and labels.get(self.key) in self.values,
            Operator.NOT_IN: not present or labels.get(self.key) not in self.values,
            Operator.EXISTS: present,
            Operator.DOES_NOT_EXIST: not present,
        }[self.operator]


@dataclass(frozen=True, slots=True)
class Selector:
    """All labels and all expressions must hold; an empty one selects everything."""

    labels: Mapping[str, str] = field(default_factory=dict)
    expressions: tuple[Expression, ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether something with these labels is meant."""
        return self.labels.items() <= labels.items() and all(each.holds(labels) for each in self.expressions)


class ProxyProtocol(Enum):
    """What a Server says is spoken on its port."""

    UNKNOWN = "unknown"
    HTTP1 = "HTTP/1"
    HTTP2 = "HTTP/2"
    GRPC = "gRPC"
    OPAQUE = "opaque"
    TLS = "TLS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """`pods` None: it is about machines outside, and no pod is meant. `port` is a number or a container port's name."""

    meta: Meta
    pods: Selector | None
    port: int | str
    protocol: ProxyProtocol = ProxyProtocol.UNKNOWN
    access_policy: str = "deny"

    def governs(self, pod: Pod, port: int) -> bool:
        """Whether this port of the pod is the Server's."""
        number = self.port if isinstance(self.port, int) else pod.port_named(self.port)
        return number == port and self.pods is not None and self.pods.selects(pod.meta.labels)
