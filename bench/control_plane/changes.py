"""The changes that are measured: what is written, and which streams must hear of it. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.control_plane import documents
from bench.control_plane.streams import Kind, Stream

EDITED = 1
"""The Service that the first proxy's workload talks to."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is done again and again: `file` gives its text of each turn, `heard` who is told."""

    title: str
    file: str
    text: Callable[[int], str]
    heard: Callable[[Stream], bool]


def changes(replicas: int) -> Mapping[str, Change]:
    """All of them, by name; each goes back and forth between two states."""

    def more(number: int) -> Callable[[int], str]:
        return lambda turn: documents.service(number, replicas + (turn + 1) % 2)

    return {
        "endpoint": Change(
            "a replica of a Service comes or goes",
            file_of(EDITED),
            more(EDITED),
            lambda stream: stream.kind is Kind.ENDPOINTS and stream.destination == EDITED,
        ),
        "endpoint-popular": Change(
            "a replica of the Service that all proxies watch",
            file_of(documents.POPULAR),
            more(documents.POPULAR),
            lambda stream: stream.kind is Kind.POPULAR,
        ),
        "service": Change(
            "a Service's timeout is edited",
            file_of(EDITED),
            lambda turn: documents.service(EDITED, replicas, f"{1 + (turn + 1) % 2}s"),
            lambda stream: stream.kind is Kind.OUTBOUND and stream.destination == EDITED,
        ),
        "policy": Change(
            "a Server of one workload is edited",
            "policy.yaml",
            lambda turn: documents.server(0, ("deny", "all-unauthenticated")[turn % 2]),
            lambda stream: stream.kind is Kind.INBOUND and stream.proxy == 0,
        ),
        "namespace": Change(
            "a default of the namespace: every stream",
            "namespace.yaml",
            lambda turn: documents.namespace(("80,8080", "")[turn % 2]),
            lambda stream: True,
        ),
    }


def mesh(services: int, replicas: int) -> Mapping[str, str]:
    """Every file at the beginning."""
    files = {file_of(number): documents.service(number, replicas) for number in range(services)}
    return {**files, "namespace.yaml": documents.namespace("")}


def file_of(number: int) -> str:
    """The file of a Service and its pods."""
    return f"{documents.name(number)}.yaml"
