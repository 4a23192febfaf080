"""Routes: rules that say where requests to a Service go. HTTPRoute and GRPCRoute share them, but not the matches."""

from dataclasses import dataclass
from enum import Enum

from weft.model.meta import Meta
from weft.model.retry import SAYS_NOTHING, Patience
from weft.model.service import Service, ServicePort


class Compare(Enum):
    """How a text is compared."""

    EXACT = "Exact"
    PREFIX = "PathPrefix"
    REGEX = "RegularExpression"


@dataclass(frozen=True, slots=True)
class TextMatch:
    """A named text (a header, a query parameter) and what it must be."""

    name: str
    compare: Compare
    value: str


@dataclass(frozen=True, slots=True)
class PathMatch:
    """What a request's path must be."""

    compare: Compare
    value: str


@dataclass(frozen=True, slots=True)
class HttpMatch:
    """All that is given must hold; an empty match holds always."""

    path: PathMatch | None = None
    headers: tuple[TextMatch, ...] = ()
    query: tuple[TextMatch, ...] = ()
    method: str = ""


@dataclass(frozen=True, slots=True)
class GrpcMatch:
    """Empty `service` or `method` means any."""

    service: str = ""
    method: str = ""
    headers: tuple[TextMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class HeaderEdit:
    """Header changes, in the order set, add, remove."""

    on_response: bool
    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Redirect:
    """An answer that sends the client elsewhere; empty parts stay as they were asked for."""

    scheme: str = ""
    host: str = ""
    port: int | None = None
    status: int = 302
    full_path: str | None = None
    prefix_path: str | None = None


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A filter that Weft does not know: a rule that has one answers 500 rather than ignore it."""

    kind: str


Filter = HeaderEdit | Redirect | Unsupported


@dataclass(frozen=True, slots=True)
class ParentRef:
    """What a route attaches to; `port` None means every port. `section` names a port of a Service, or is empty."""

    group: str
    kind: str
    namespace: str
    name: str
    port: int | None
    section: str = ""

    def means(self, service: Service, port: ServicePort) -> bool:
        """Whether it is this port of this Service."""
        about = service.meta.id
        same = (self.group, self.kind, self.namespace, self.name) == ("", "Service", about.namespace, about.name)
        return same and self.port in (None, port.port) and self.section in ("", port.name)


@dataclass(frozen=True, slots=True)
class BackendRef:
    """Where a share of a rule's requests goes."""

    group: str
    kind: str
    namespace: str
    name: str
    port: int | None
    weight: int
    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `backends` None means that it names none and requests go where they were going. Times in seconds."""

    line: int
    matches: tuple[HttpMatch, ...] | tuple[GrpcMatch, ...]
    filters: tuple[Filter, ...]
    backends: tuple[BackendRef, ...] | None
    request_timeout: float | None = None
    ignored: tuple[str, ...] = ()
    """Fields of the Gateway API that are written and have no effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`meta.id.kind` tells HTTPRoute from GRPCRoute, `meta.id.group` which of the two groups defines it."""

    meta: Meta
    parents: tuple[ParentRef, ...]
    hostnames: tuple[str, ...]
    rules: tuple[Rule, ...]
    patience: Patience = SAYS_NOTHING

    @property
    def grpc(self) -> bool:
        """Whether it is a GRPCRoute."""
        return self.meta.id.kind == "GRPCRoute"
