"""What a route may not say, because a proxy would refuse the Service's whole policy for it."""

import pytest

from weft.lib.errors import Problem
from weft.model import Route
from weft.resources import load_text
from weft.resources.patterns import host_problem, pattern_problem


def load(rule: str, *, kind: str = "HTTPRoute", spec: str = "") -> Route | Problem:
    head = f"apiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: r}}\nspec:\n"
    parent = "  parentRefs: [{name: web, kind: Service, group: ''}]\n"
    loaded = load_text(f"{head}{parent}  {spec or 'hostnames: []'}\n  rules: [{rule}]\n", "mesh.yaml")
    if loaded.problems:
        return loaded.problems[0]
    (document,) = loaded.documents
    assert isinstance(document, Route)
    return document


EDIT = "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {%s}}]}"


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("{matches: [{method: 'G T'}]}", "`G T` is not an HTTP method"),
        ("{matches: [{headers: [{name: 'a b', value: x}]}]}", "`a b` is not the name of a header"),
        ("{matches: [{path: {type: RegularExpression, value: '/(?=x)'}}]}", "which proxies do not know"),
        (r"{matches: [{headers: [{name: a, type: RegularExpression, value: '(x)\1'}]}]}", "which proxies do not know"),
        (EDIT % "set: [{name: 'a:', value: x}]", "`a:` is not the name of a header"),
        (EDIT % 'add: [{name: a, value: "x\\ny"}]', "has a control character"),
        (EDIT % "remove: ['']", "`` is not the name of a header"),
        ("{filters: [{type: RequestRedirect, requestRedirect: {hostname: 'a/b'}}]}", "`a/b` is not a host name"),
        ("{timeouts: {request: 1s, backendRequest: 2s}}", "is longer than `request` 1s"),
        ("{timeouts: {backendRequest: soon}}", "`soon` is not a duration"),
    ],
)
def test_a_text_that_proxies_cannot_read_is_told_with_its_line(rule: str, reason: str) -> None:
    """Requirement: what the proxy would refuse is a problem of the document, at its line."""
    told = load(rule)
    assert isinstance(told, Problem)
    assert (told.code, told.line) == ("bad-route", 7)
    assert reason in told.reason


def test_hostnames_are_names() -> None:
    """Requirement: a name, or one label that stands for all."""
    told = load("{}", spec="hostnames: [web.example.com, '*.example.com', 'a*.example.com']")
    assert isinstance(told, Problem)
    assert (told.line, told.reason) == (6, "`a*.example.com` is not a host name")
    assert [host_problem(each) == "" for each in ("web", "*.com", "*", "a..b", "", "a_b")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip


def test_patterns_that_only_look_forbidden_pass() -> None:
    """Requirement: brackets, escapes, groups with flags and without a name are a proxy's too."""
    for pattern in (r"/\(?=", "/[(?=]+", r"/(?:a|b)", r"(?i)/x", r"(?P<n>x)", r"/\d+\.\w", r"[\]\\1]"):
        assert pattern_problem(pattern) == "", pattern
    for pattern in (r"(?<=a)b", r"(?<!a)b", r"(?P<n>x)(?P=n)", r"a(?!b)", r"(a)\1", r"(?>a)"):
        assert pattern_problem(pattern) != "", pattern


def test_an_empty_list_of_backends_is_none() -> None:
    """Requirement: requests go on to the Service, as in Linkerd and as without the field."""
    told = load("{backendRefs: []}")
    assert isinstance(told, Route)
    assert told.rules[0].backends is None


@pytest.mark.parametrize(
    "rule",
    [
        "{matchs: [{path: {value: /a}}]}",
        "{backendRef: [{name: web, port: 80}]}",
        "{matches: [{headers: [{name: a, val: b, value: b}]}]}",
        "{matches: [{queryparams: [{name: a, value: b}]}]}",
        "{timeouts: {requests: 1s}}",
    ],
)
def test_a_misspelt_field_is_told(rule: str) -> None:
    """Requirement: it would make the rule take other requests, or send them elsewhere."""
    told = load(rule)
    assert isinstance(told, Problem)
    assert (told.code, told.line) == ("unknown-field", 7)


def test_fields_that_have_no_effect_are_remembered() -> None:
    """Requirement: what the Gateway API knows is no mistake; the route's status says that it does nothing here."""
    told = load("{name: first, retry: {attempts: 2}, sessionPersistence: {sessionName: a}}")
    assert isinstance(told, Route)
    assert told.rules[0].ignored == ("retry", "sessionPersistence")
    mirrored = load("{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}}}]}")
    assert isinstance(mirrored, Route)
