"""A Server is read as Linkerd's users write it; what is wrong with one has its line and a hint."""

import pytest

from weft.model import Server, Workload
from weft.model.server import Expression, Operator, ProxyProtocol, Selector
from weft.resources import load_text

HEAD = "apiVersion: policy.linkerd.io/{version}\nkind: Server\nmetadata: {{name: web, namespace: shop}}\nspec:\n"


@pytest.mark.parametrize("version", ["v1alpha1", "v1beta1", "v1beta2", "v1beta3"])
def test_every_version_is_read(version: str) -> None:
    """Requirement: selector, port, protocol and access policy arrive; protocol and policy have Linkerd's defaults."""
    spec = """
  podSelector:
    matchLabels: {app: web}
    matchExpressions: [{key: tier, operator: NotIn, values: [a, b]}, {key: tier, operator: Exists}]
  port: http
  proxyProtocol: TLS
  accessPolicy: cluster-authenticated
"""
    loaded = load_text(HEAD.format(version=version) + spec, "mesh.yaml")
    assert loaded.problems == ()
    (one,) = loaded.documents
    assert isinstance(one, Server)
    expressions = (Expression("tier", Operator.NOT_IN, ("a", "b")), Expression("tier", Operator.EXISTS))
    assert (one.pods, one.port) == (Selector({"app": "web"}, expressions), "http")
    assert (one.protocol, one.access_policy) == (ProxyProtocol.TLS, "cluster-authenticated")
    (least,) = load_text(HEAD.format(version=version) + "  {podSelector: {}, port: 80}", "mesh.yaml").documents
    assert isinstance(least, Server)
    assert (least.pods, least.protocol, least.access_policy) == (Selector(), ProxyProtocol.UNKNOWN, "deny")


@pytest.mark.parametrize(
    ("spec", "line", "words"),
    [
        ("  podSelector: {}\n  port: 70000\n", 6, "65535"),
        ("  podSelector: {}\n  port: ''\n", 6, "length"),
        ("  podSelector: {}\n", 4, "`port` is missing"),
        ("  port: 80\n", 4, "exactly one of podSelector and externalWorkloadSelector"),
        ("  podSelector: {}\n  externalWorkloadSelector: {}\n  port: 80\n", 4, "exactly one"),
        ("  podSelector: {}\n  port: 80\n  proxyProtocol: HTTP/3\n", 7, "`HTTP/3` is not a protocol"),
        ("  podSelector: {}\n  port: 80\n  accessPolicy: allow\n", 7, "`allow` is not an access policy"),
        ("  podSelector: {}\n  port: 80\n  proxyprotocol: gRPC\n", 7, "did you mean `proxyProtocol`?"),
        ("  podSelector:\n    matchLabels: {app: 1}\n  port: 80\n", 6, "expected a text"),
        (
            "  podSelector:\n    matchExpressions:\n    - {key: a, operator: Is}\n  port: 80\n",
            7,
            "`Is` is not an operator",
        ),
        ("  podSelector:\n    matchExpressions:\n    - {key: a, operator: In}\n  port: 80\n", 7, "In needs values"),
        (
            "  podSelector:\n    matchExpressions:\n    - {key: a, operator: Exists, values: [b]}\n  port: 80\n",
            7,
            "Exists takes no values",
        ),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(spec: str, line: int, words: str) -> None:
    """Requirement: file, line, reason and hint; the document is not among those that were read."""
    loaded = load_text(HEAD.format(version="v1beta3") + spec, "mesh.yaml")
    (problem,) = loaded.problems
    assert loaded.documents == ()
    assert (problem.file, problem.line) == ("mesh.yaml", line)
    assert words in f"{problem.reason} {problem.hint}"


def test_an_unknown_version_is_refused() -> None:
    """Requirement: a version that nobody has defined is not read as if it were one of ours."""
    (problem,) = load_text(HEAD.format(version="v2") + "  podSelector: {}\n  port: 80\n", "mesh.yaml").problems
    assert (problem.line, "v1beta3" in problem.hint) == (1, True)


def test_lists_of_ports_on_a_workload_are_checked() -> None:
    """Requirement: what is no port has its line; a good list is read."""
    text = """apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata:
  name: a
  annotations:
    config.linkerd.io/opaque-ports: 25,http
    config.linkerd.io/skip-inbound-ports: 80-70
    config.linkerd.io/skip-outbound-ports: "25, 8000-8010,"
spec: {command: [a]}
"""
    loaded = load_text(text, "mesh.yaml")
    assert [(problem.line, problem.reason.split(": ")[1]) for problem in loaded.problems] == [
        (6, "`http` is no port"),
        (7, "`80-70` is no port"),
    ]
    (good,) = load_text(text.replace("http", "26").replace("80-70", "70-80"), "mesh.yaml").documents
    assert isinstance(good, Workload)
