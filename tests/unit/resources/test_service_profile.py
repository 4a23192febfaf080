"""ServiceProfiles as users write them."""

import pytest

from weft.model import ServiceProfile
from weft.model.profile import (
    AllOf,
    AnyOf,
    MethodIs,
    NotThat,
    Override,
    PathPattern,
    ProfileRoute,
    ResponseClass,
    RetryBudget,
    StatusRange,
)
from weft.resources import load_text
from weft.resources.service_profile import seconds

HEAD = "apiVersion: linkerd.io/v1alpha2\nkind: ServiceProfile\nmetadata: {name: web.default.svc.cluster.local}\n"


def profile(spec: str) -> ServiceProfile:
    loaded = load_text(f"{HEAD}spec:\n{spec}", "mesh.yaml")
    assert loaded.problems == ()
    (document,) = loaded.documents
    assert isinstance(document, ServiceProfile)
    return document


def test_routes_are_read() -> None:
    """Requirement: conditions in any nesting, several fields together, classes, retries and timeout."""
    told = profile("""
  routes:
  - name: GET /books/{id}
    condition: {method: GET, pathRegex: "/books/[^/]*"}
    isRetryable: true
    timeout: 1.5s
    responseClasses:
    - condition: {status: {min: 500, max: 503}}
      isFailure: true
    - condition: {not: {any: [{status: {max: 399}}]}}
  - name: rest
    condition: {any: [{method: put}, {all: [{method: POST}, {not: {pathRegex: "/a.*"}}]}]}
""")
    first, second = told.routes
    failing = ResponseClass(StatusRange(500, 503), True)
    good = ResponseClass(NotThat(AnyOf((StatusRange(0, 399),))), False)
    both = AllOf((MethodIs("GET"), PathPattern("/books/[^/]*")))
    assert first == ProfileRoute("GET /books/{id}", both, (failing, good), True, 1.5)
    inner = AllOf((MethodIs("POST"), NotThat(PathPattern("/a.*"))))
    assert second == ProfileRoute("rest", AnyOf((MethodIs("PUT"), inner)))
    assert told.budget == RetryBudget(0.2, 10, 10.0)
    assert told.decides


def test_budget_overrides_and_opaque_ports_are_read() -> None:
    """Requirement: weights are numbers or thousandths, ports single or ranges; ports alone decide nothing."""
    told = profile("""
  retryBudget: {retryRatio: 0.5, minRetriesPerSecond: 3, ttl: 1m}
  dstOverrides:
  - {authority: "a.default.svc.cluster.local:80", weight: 500m}
  - {authority: "b.default.svc.cluster.local:80", weight: 1}
  - {authority: "c.default.svc.cluster.local:80", weight: 0.25}
  opaquePorts: [6379, "9000-9010"]
""")
    assert told.budget == RetryBudget(0.5, 3, 60.0)
    names = [f"{name}.default.svc.cluster.local:80" for name in "abc"]
    assert told.overrides == tuple(map(Override, names, (500, 1000, 250)))
    assert told.opaque_ports == ((6379, 6379), (9000, 9010))
    assert not profile("  opaquePorts: [80]").decides


@pytest.mark.parametrize(
    ("spec", "where", "reason"),
    [
        ("  routes: [{name: a, condition: {}}]", 5, "`spec.routes[0].condition` says nothing"),
        ("  routes: [{name: a}]", 5, "`condition` is missing"),
        ("  routes: [{name: a, condition: {pathRegex: '('}}]", 5, "is not a regular expression"),
        ("  routes: [{name: a, condition: {pathRegex: '/(?!x)'}}]", 5, "which proxies do not know"),
        ("  routes: [{name: a, condition: {method: 'G T'}}]", 5, "`G T` is not an HTTP method"),
        ("  routes: [{name: a, condition: {method: GET}, timeout: soon}]", 5, "`soon` is not a duration"),
        ("  routes: [{name: a, condition: {method: GET}, isRetriable: true}]", 5, "is not a field"),
        ("  dstOverrides: [{authority: web}]", 5, "`web` is not a name and a port"),
        ("  dstOverrides: [{authority: 'a.b.svc:80', weight: x}]", 5, "`x` is not a weight"),
        ("  opaquePorts: [http]", 5, "`http` is not a port"),
        ("  retryBudget: {retryRatio: -1, minRetriesPerSecond: 1, ttl: 1s}", 5, "retryRatio"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(spec: str, where: int, reason: str) -> None:
    """Requirement: every mistake has file, line and reason."""
    (problem,) = load_text(f"{HEAD}spec:\n{spec}", "mesh.yaml").problems
    assert (problem.file, problem.line) == ("mesh.yaml", where)
    assert reason in problem.reason


def test_a_range_of_statuses_has_its_ends_in_order() -> None:
    """Requirement: 100 to 599, the end not before the beginning."""
    for written in ("{min: 600}", "{min: 500, max: 400}", "{max: 99}"):
        classes = f"[{{condition: {{status: {written}}}}}]"
        spec = f"  routes: [{{name: a, condition: {{method: GET}}, responseClasses: {classes}}}]"
        assert load_text(f"{HEAD}spec:\n{spec}", "mesh.yaml").problems


def test_a_profile_is_named_after_a_service() -> None:
    """Requirement: a short name would never be looked for, and its author would not learn of it."""
    (problem,) = load_text(HEAD.replace("web.default.svc.cluster.local", "web"), "mesh.yaml").problems
    assert (problem.code, problem.line) == ("bad-profile", 3)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1m30s", 90.0), ("1.5s", 1.5), ("250ms", 0.25), ("0", 0.0), ("1", None), ("", None), ("-1s", None)],
)
def test_durations_are_those_of_go(text: str, value: float | None) -> None:
    """Requirement: as Linkerd reads them."""
    assert seconds(text) == value
