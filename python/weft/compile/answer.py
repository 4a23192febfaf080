"""The values that compile functions return: what a proxy will be told, before it becomes bytes.

Times are in seconds, addresses are texts, identities are names as in certificates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from weft.model.authorization import Network
from weft.model.clients import Clients
from weft.model.profile import DEFAULT_BUDGET, Override, ProfileRoute, RetryBudget
from weft.model.retry import NO_TIMEOUTS, Retry, Timeouts
from weft.model.route import Filter, GrpcMatch, HttpMatch


class Code(Enum):
    """Why there is no answer, in the words of gRPC."""

    NOT_FOUND = "NOT_FOUND"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"


@dataclass(frozen=True, slots=True)
class Unanswerable:
    """A question that the mesh has no answer to, now."""

    code: Code
    reason: str


@dataclass(frozen=True, slots=True)
class About:
    """What a policy or a part of it was made from: a document, or a `default` with a name."""

    kind: str = "default"
    name: str = ""
    group: str = ""
    namespace: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A socket address."""

    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address that serves. `identity` empty: no mesh TLS. `inbound_port` 0: connect to the address itself."""

    address: Address
    labels: Mapping[str, str]
    identity: str = ""
    http2: bool = False
    opaque: bool = False
    inbound_port: int = 0
    about: About | None = None
    server_name: str = ""
    """What to send as SNI; empty: the identity."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints of one Service port. `exists` False: there was a Service once, and it is gone."""

    exists: bool
    endpoints: Mapping[Address, Endpoint] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """What GetProfile tells of a target. `name` empty: not a Service."""

    name: str = ""
    opaque: bool = False
    endpoint: Endpoint | None = None
    parent: About | None = None
    written: About | None = None
    """The ServiceProfile that the rest is from."""
    routes: tuple[ProfileRoute, ...] = ()
    budget: RetryBudget = DEFAULT_BUDGET
    overrides: tuple[Override, ...] = ()


class Protocol(Enum):
    """What a port speaks, if that is known beforehand."""

    DETECT = "detect"
    HTTP1 = "http1"
    HTTP2 = "http2"
    GRPC = "grpc"
    OPAQUE = "opaque"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Balance:
    """Spread over the endpoints of an authority."""

    authority: str


@dataclass(frozen=True, slots=True)
class Forward:
    """Pass on to one address."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with an HTTP status instead of sending anywhere."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Backend:
    """One share of a rule's requests. `failure` answers in the backend's place."""

    about: About
    to: Balance | Forward | None
    weight: int = 1
    filters: tuple[Filter, ...] = ()
    failure: Fail | None = None


@dataclass(frozen=True, slots=True)
class OutboundRule:
    """A rule as a proxy applies it; `failure` answers every request that matches."""

    matches: tuple[HttpMatch, ...] | tuple[GrpcMatch, ...]
    backends: tuple[Backend, ...]
    filters: tuple[Filter, ...] = ()
    failure: Fail | None = None
    timeouts: Timeouts = NO_TIMEOUTS
    retry: Retry | None = None
    allow_request_headers: bool = False


@dataclass(frozen=True, slots=True)
class OutboundRoute:
    """A route with the hosts it is for; no hosts mean all."""

    about: About
    hosts: tuple[str, ...]
    rules: tuple[OutboundRule, ...]


@dataclass(frozen=True, slots=True)
class OpaqueRoute:
    """Where connections go that are not HTTP; `forbidden` closes them."""

    about: About
    backend: Backend | None
    forbidden: bool = False


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """How a client's traffic to one target is routed."""

    about: About
    protocol: Protocol
    http: tuple[OutboundRoute, ...]
    grpc: tuple[OutboundRoute, ...]
    opaque: OpaqueRoute
    detect_timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Authorization:
    """A grant: from these networks, these clients."""

    about: About
    networks: tuple[Network, ...]
    clients: Clients


@dataclass(frozen=True, slots=True)
class InboundRule:
    """Which requests a rule takes and what happens to them; `failure` answers all of them instead."""

    matches: tuple[HttpMatch, ...] | tuple[GrpcMatch, ...]
    filters: tuple[Filter, ...] = ()
    failure: Fail | None = None


@dataclass(frozen=True, slots=True)
class InboundRoute:
    """Requests that match are authorized by `authorizations` beside those of the whole port; no hosts mean all."""

    about: About
    rules: tuple[InboundRule, ...]
    authorizations: tuple[Authorization, ...] = ()
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InboundPolicy:
    """Who may reach one port of one workload; `routes` have gRPC's matches where the protocol is gRPC, else HTTP's."""

    about: About
    protocol: Protocol
    ips: tuple[str, ...]
    authorizations: tuple[Authorization, ...]
    routes: tuple[InboundRoute, ...]
    detect_timeout: float = 10.0
