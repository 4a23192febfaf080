"""What the kinds of `policy.linkerd.io` share: strict shapes, versions, selectors, references, networks, identities."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

import msgspec

from weft.lib.errors import Problem
from weft.model.authorization import Account, Network
from weft.model.server import Expression, Operator, Selector
from weft.resources.decode import close, mapping_problems, show
from weft.resources.tree import Path, Tree


class Shape(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What all parts share: in a rule about access a field that nobody reads is a typing error."""


class WrittenExpression(Shape, frozen=True):
    key: str
    operator: str
    values: tuple[str, ...] = ()


class WrittenSelector(Shape, frozen=True):
    match_labels: dict[str, object] = {}
    match_expressions: tuple[WrittenExpression, ...] = ()


class WrittenRef(Shape, frozen=True):
    kind: str
    name: str
    group: str = ""
    namespace: str = ""


class WrittenNetwork(Shape, frozen=True, rename={"excepted": "except"}):
    cidr: str
    excepted: tuple[str, ...] = ()


def version_problems(tree: Tree, api_version: str, versions: tuple[str, ...]) -> list[Problem]:
    """A Problem for a version that nobody has defined."""
    return one_of(tree, ("apiVersion",), api_version.rpartition("/")[2], versions, "a version")


def one_of(tree: Tree, path: Path, word: str, allowed: Iterable[str], what: str) -> list[Problem]:
    """A Problem when a word is not one of those allowed."""
    if word in (allowed := tuple(allowed)):
        return []
    hint = close(word, allowed) or f"one of {', '.join(allowed)}"
    return [tree.problem(path, "wrong-value", f"`{show(path)}`: `{word}` is not {what}", hint)]


def selector_problems(tree: Tree, path: Path, written: WrittenSelector | None) -> list[Problem]:
    """What is wrong with a label selector."""
    if written is None:
        return []
    problems = mapping_problems(tree, (*path, "matchLabels"), written.match_labels)
    operators = tuple(each.value for each in Operator)
    for index, each in enumerate(written.match_expressions):
        where: Path = (*path, "matchExpressions", index)
        problems += one_of(tree, (*where, "operator"), each.operator, operators, "an operator")
        lists = each.operator in (Operator.IN.value, Operator.NOT_IN.value)
        if each.operator in operators and lists != bool(each.values):
            words = "needs values" if lists else "takes no values"
            problems.append(tree.problem(where, "wrong-value", f"`{show(where)}`: {each.operator} {words}"))
    return problems


def selector(written: WrittenSelector) -> Selector:
    """The value of a selector without problems."""
    return Selector(
        {key: str(value) for key, value in written.match_labels.items()},
        tuple(Expression(each.key, Operator(each.operator), each.values) for each in written.match_expressions),
    )


def network_problems(tree: Tree, path: Path, written: tuple[WrittenNetwork, ...]) -> list[Problem]:
    """What is wrong with a list of networks: an exception lies inside the network that it is taken from."""
    problems: list[Problem] = []
    for index, each in enumerate(written):
        at: Path = (*path, index)
        whole = _net(each.cidr)
        if whole is None:
            problems.append(_no_network(tree, (*at, "cidr"), each.cidr))
        for place, text in enumerate(each.excepted):
            here: Path = (*at, "except", place)
            part = _net(text)
            if part is None:
                problems.append(_no_network(tree, here, text))
            elif whole is not None and not _inside(part, whole):
                reason = f"`{show(here)}`: `{text}` does not lie inside `{each.cidr}`"
                problems.append(tree.problem(here, "bad-network", reason, "an exception takes a part of its cidr away"))
    return problems


def networks(written: tuple[WrittenNetwork, ...]) -> tuple[Network, ...]:
    """The value of networks without problems."""
    return tuple(Network(str(_net(each.cidr)), tuple(str(_net(text)) for text in each.excepted)) for each in written)


def identity_problems(tree: Tree, path: Path, patterns: tuple[str, ...]) -> list[Problem]:
    """What is wrong with identities: whole names, `*.SUFFIX`, `*`, or SPIFFE URIs, which are compared whole."""
    problems = []
    for index, pattern in enumerate(patterns):
        at: Path = (*path, index)
        if not _IDENTITY.fullmatch(pattern):
            hint = "for example web.shop.serviceaccount.identity.weft.cluster.local, *.shop.serviceaccount..., or *"
            reason = f"`{show(at)}`: `{pattern}` is not an identity"
            problems.append(tree.problem(at, "bad-identity", reason, hint))
    return problems


def ref_problems(tree: Tree, path: Path, ref: WrittenRef, kinds: dict[str, tuple[str, ...]]) -> list[Problem]:
    """What is wrong with a reference; `kinds` has the groups of each kind that may be meant."""
    problems = one_of(tree, (*path, "kind"), ref.kind, kinds, "a kind that can be meant here")
    if not problems and ref.group not in (groups := kinds[ref.kind]):
        hint = f"{ref.kind} is of {' or '.join(f'`{group}`' if group else 'the core group' for group in groups)}"
        where: Path = (*path, "group") if ref.group else path
        words = f"`{ref.group}` has no kind {ref.kind}" if ref.group else "`group` is missing"
        problems.append(tree.problem(where, "bad-reference", f"`{show(path)}`: {words}", hint))
    return problems


def account(ref: WrittenRef, namespace: str) -> Account:
    """The ServiceAccount that is meant in a document of `namespace`."""
    return Account(ref.namespace or namespace, ref.name)


def _net(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _inside(part: IPv4Network | IPv6Network, whole: IPv4Network | IPv6Network) -> bool:
    if isinstance(part, IPv4Network) and isinstance(whole, IPv4Network):
        return part.subnet_of(whole)
    return isinstance(part, IPv6Network) and isinstance(whole, IPv6Network) and part.subnet_of(whole)


def _no_network(tree: Tree, path: Path, text: str) -> Problem:
    hint = "for example 10.0.0.0/8, fd00::/8 or one address"
    return tree.problem(path, "bad-network", f"`{show(path)}`: `{text}` is not a network", hint)


ACCOUNT_GROUPS = ("", "core")
_LABEL = r"[A-Za-z0-9_-]{1,63}"
_IDENTITY = re.compile(rf"\*|(\*\.)?{_LABEL}(\.{_LABEL})*\.?|spiffe://[^/?#\s*]+[^?#\s*]*")
