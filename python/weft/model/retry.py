"""How long a request to a Service may take, and when it is worth another attempt. Times in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """`request`: the whole exchange; `response`: from the request's end to the answer's head; `idle`: silence."""

    request: float | None = None
    response: float | None = None
    idle: float | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """`statuses` are ranges with both ends, `codes` gRPC status codes, `timeout` is one attempt's."""

    statuses: tuple[tuple[int, int], ...] = ()
    codes: tuple[int, ...] = ()
    limit: int = 1
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """What the annotations of one document say: None where they say nothing of it, so that a wider place may."""

    timeouts: Timeouts | None = None
    retry: Retry | None = None


NO_TIMEOUTS = Timeouts()
SAYS_NOTHING = Patience()
