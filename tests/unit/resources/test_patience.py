"""The annotations that set timeouts and retries, as users write them."""

import pytest

from weft.lib.errors import Problem
from weft.model import Route, Service
from weft.model.retry import Patience, Retry, Timeouts
from weft.resources import load_text

SERVICE = ("v1", "Service", "{ports: [{port: 80}]}")
HTTP = ("gateway.networking.k8s.io/v1", "HTTPRoute", "{parentRefs: [{name: web, kind: Service, group: ''}]}")
GRPC = ("gateway.networking.k8s.io/v1", "GRPCRoute", "{parentRefs: [{name: web, kind: Service, group: ''}]}")


def load(kind: tuple[str, str, str], **annotations: str) -> Patience | Problem:
    """What a document with these annotations says, or the one thing that is wrong; `__` stands for the domain."""
    lines = [f"    {name.replace('__', '.linkerd.io/')}: '{value}'" for name, value in annotations.items()]
    head = f"apiVersion: {kind[0]}\nkind: {kind[1]}\nmetadata:\n  name: web\n  annotations:\n"
    loaded = load_text(head + "\n".join(lines) + f"\nspec: {kind[2]}\n", "mesh.yaml")
    if loaded.problems:
        (problem,) = loaded.problems
        return problem
    (document,) = loaded.documents
    assert isinstance(document, Service | Route)
    return document.patience


@pytest.mark.parametrize("kind", [SERVICE, HTTP, GRPC], ids=lambda kind: kind[1])
def test_timeouts_are_read(kind: tuple[str, str, str]) -> None:
    """Requirement: each timeout is a whole number with a unit; 0 is none, and says more than nothing."""
    assert load(kind, unrelated="x") == Patience()
    told = load(kind, timeout__request="1m", timeout__response="250ms", timeout__idle="2h")
    assert told == Patience(Timeouts(60.0, 0.25, 7200.0))
    assert load(kind, timeout__request="0") == Patience(Timeouts())


@pytest.mark.parametrize(
    ("kind", "annotations", "retry"),
    [
        (SERVICE, {"retry__http": "5xx"}, Retry(((500, 599),))),
        (HTTP, {"retry__http": "gateway-error, 429,400-404"}, Retry(((502, 504), (429, 429), (400, 404)))),
        (GRPC, {"retry__grpc": "unavailable,internal"}, Retry((), (13, 14))),
        (SERVICE, {"retry__http": "503", "retry__grpc": "cancelled"}, Retry(((503, 503),), (1,))),
        (HTTP, {"retry__http": "503", "retry__limit": "3", "retry__timeout": "1s"}, Retry(((503, 503),), (), 3, 1.0)),
        (GRPC, {"retry__timeout": "300ms"}, Retry(timeout=0.3)),
        (HTTP, {"retry__limit": "0"}, Retry(limit=0)),
    ],
)
def test_retries_are_read(kind: tuple[str, str, str], annotations: dict[str, str], retry: Retry) -> None:
    """Requirement: conditions, limit (1 unless it is said) and one attempt's timeout mean what they mean to Linkerd."""
    assert load(kind, **annotations) == Patience(None, retry)


@pytest.mark.parametrize(
    ("kind", "annotations", "word"),
    [
        (SERVICE, {"timeout__request": "soon"}, "`soon`"),
        (SERVICE, {"timeout__idle": "1.5s"}, "`1.5s`"),
        (HTTP, {"retry__http": "5xx,all"}, "`5xx,all`"),
        (HTTP, {"retry__http": "600"}, "`600`"),
        (HTTP, {"retry__http": "504-502"}, "`504-502`"),
        (HTTP, {"retry__grpc": "unavailable"}, "retry.linkerd.io/grpc"),
        (GRPC, {"retry__http": "5xx"}, "retry.linkerd.io/http"),
        (GRPC, {"retry__grpc": "unknown"}, "`unknown`"),
        (SERVICE, {"retry__limit": "-1"}, "`-1`"),
        (SERVICE, {"retry__limit": "65536"}, "`65536`"),
        (SERVICE, {"retry__timeout": ""}, "``"),
    ],
)
def test_what_cannot_be_read_is_reported(kind: tuple[str, str, str], annotations: dict[str, str], word: str) -> None:
    """Requirement: a wrong annotation is a problem with its line, the value and what would be right."""
    problem = load(kind, **annotations)
    assert isinstance(problem, Problem)
    assert (problem.line, problem.code) == (6, "bad-annotation")
    assert word in problem.reason
    assert problem.hint
