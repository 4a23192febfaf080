"""The kind Server (`policy.linkerd.io`), as Linkerd's users write it."""

from typing import Annotated

import msgspec

from weft.lib.errors import Problem
from weft.model.meta import Meta
from weft.model.server import Expression, Operator, ProxyProtocol, Selector, Server
from weft.model.settings import INBOUND_POLICIES
from weft.resources.decode import close, decode, field_names, mapping_problems, show
from weft.resources.metadata import Metadata, meta
from weft.resources.tree import Path, Tree
from weft.resources.workload import PortNumber

VERSIONS = ("v1alpha1", "v1beta1", "v1beta2", "v1beta3")


class Shape(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What all parts share: in a rule about access a field that nobody reads is a typing error."""


class WrittenExpression(Shape, frozen=True):
    key: str
    operator: str
    values: tuple[str, ...] = ()


class WrittenSelector(Shape, frozen=True):
    match_labels: dict[str, object] = {}
    match_expressions: tuple[WrittenExpression, ...] = ()


class WrittenSpec(Shape, frozen=True):
    port: PortNumber | Annotated[str, msgspec.Meta(min_length=1)]
    pod_selector: WrittenSelector | None = None
    external_workload_selector: WrittenSelector | None = None
    proxy_protocol: str = "unknown"
    access_policy: str = "deny"


class WrittenServer(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    metadata: Metadata
    spec: WrittenSpec


KNOWN = field_names(WrittenServer, WrittenSpec, WrittenSelector, WrittenExpression)


def parse(tree: Tree, group: str, kind: str) -> Server | list[Problem]:
    """A Server, or everything that is wrong with it."""
    written = decode(tree, WrittenServer, KNOWN)
    if isinstance(written, list):
        return written
    about = meta(tree, group, kind, written.metadata)
    spec = written.spec
    problems = [] if isinstance(about, Meta) else about
    version = written.api_version.rpartition("/")[2]
    problems += _one_of(tree, ("apiVersion",), version, VERSIONS, "a version")
    protocols = tuple(each.value for each in ProxyProtocol)
    problems += _one_of(tree, ("spec", "proxyProtocol"), spec.proxy_protocol, protocols, "a protocol")
    problems += _one_of(tree, ("spec", "accessPolicy"), spec.access_policy, INBOUND_POLICIES, "an access policy")
    if (spec.pod_selector is None) == (spec.external_workload_selector is None):
        reason = "a Server has exactly one of podSelector and externalWorkloadSelector"
        problems.append(tree.problem(("spec",), "bad-selector", reason, "`podSelector: {}` selects every pod"))
    problems += _selector_problems(tree, ("spec", "podSelector"), spec.pod_selector)
    problems += _selector_problems(tree, ("spec", "externalWorkloadSelector"), spec.external_workload_selector)
    if problems or not isinstance(about, Meta):
        return problems
    return Server(
        meta=about,
        pods=_selector(spec.pod_selector) if spec.pod_selector is not None else None,
        port=spec.port,
        protocol=ProxyProtocol(spec.proxy_protocol),
        access_policy=spec.access_policy,
    )


def _one_of(tree: Tree, path: Path, word: str, allowed: tuple[str, ...], what: str) -> list[Problem]:
    if word in allowed:
        return []
    hint = close(word, allowed) or f"one of {', '.join(allowed)}"
    return [tree.problem(path, "wrong-value", f"`{show(path)}`: `{word}` is not {what}", hint)]


def _selector_problems(tree: Tree, path: Path, written: WrittenSelector | None) -> list[Problem]:
    if written is None:
        return []
    problems = mapping_problems(tree, (*path, "matchLabels"), written.match_labels)
    operators = tuple(each.value for each in Operator)
    for index, each in enumerate(written.match_expressions):
        where: Path = (*path, "matchExpressions", index)
        problems += _one_of(tree, (*where, "operator"), each.operator, operators, "an operator")
        lists = each.operator in (Operator.IN.value, Operator.NOT_IN.value)
        if each.operator in operators and lists != bool(each.values):
            words = "needs values" if lists else "takes no values"
            problems.append(tree.problem(where, "wrong-value", f"`{show(where)}`: {each.operator} {words}"))
    return problems


def _selector(written: WrittenSelector) -> Selector:
    return Selector(
        {key: str(value) for key, value in written.match_labels.items()},
        tuple(Expression(each.key, Operator(each.operator), each.values) for each in written.match_expressions),
    )
