"""A ServiceProfile: routes of a Service by condition, what counts as a failure there, retries within a budget, a split.

`meta.name` is the Service's full name; the namespace is the Service's own, or that of the clients it is for.
"""

from dataclasses import dataclass

from weft.model.meta import Meta

GROUP = "linkerd.io"


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A pattern of the whole path."""

    regex: str


@dataclass(frozen=True, slots=True)
class MethodIs:
    """One HTTP method."""

    name: str


@dataclass(frozen=True, slots=True)
class StatusRange:
    """HTTP statuses with both ends; 0 leaves an end open."""

    least: int = 0
    most: int = 0


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one must hold."""

    each: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One must hold."""

    each: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class NotThat:
    """It must not hold."""

    one: "Condition"


Condition = PathPattern | MethodIs | StatusRange | AllOf | AnyOf | NotThat
"""Of a request (pattern, method) or of an answer (statuses)."""


@dataclass(frozen=True, slots=True)
class ResponseClass:
    """Answers of which it is said whether they are failures."""

    condition: Condition
    failure: bool


@dataclass(frozen=True, slots=True)
class ProfileRoute:
    """`timeout` is in seconds; None: none."""

    name: str
    condition: Condition
    classes: tuple[ResponseClass, ...] = ()
    retryable: bool = False
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """Retries for each request, and those a second that need none; a request counts for `ttl` seconds."""

    ratio: float = 0.2
    least_per_second: int = 10
    ttl: float = 10.0


DEFAULT_BUDGET = RetryBudget()


@dataclass(frozen=True, slots=True)
class Override:
    """Where requests go instead: `name.namespace.svc.DOMAIN:port`. `weight` is in thousandths."""

    authority: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProfile:
    """`opaque_ports` are ranges; the first of `routes` whose condition holds is taken."""

    meta: Meta
    routes: tuple[ProfileRoute, ...] = ()
    budget: RetryBudget = DEFAULT_BUDGET
    overrides: tuple[Override, ...] = ()
    opaque_ports: tuple[tuple[int, int], ...] = ()

    @property
    def decides(self) -> bool:
        """Whether it takes the place of HTTPRoutes and GRPCRoutes."""
        return bool(self.routes) or any(each.weight for each in self.overrides)
