"""The kind AuthorizationPolicy (`policy.linkerd.io`): who may reach a Server, a route or the Servers of a namespace."""

import msgspec

from weft.lib.errors import Problem
from weft.model.authorization import GROUP, Account, AuthorizationPolicy
from weft.model.meta import Meta, ObjectId
from weft.resources.access import ACCOUNT_GROUPS, Shape, WrittenRef, account, ref_problems, version_problems
from weft.resources.decode import decode, field_names
from weft.resources.metadata import Metadata, meta
from weft.resources.tree import Tree


class WrittenSpec(Shape, frozen=True):
    target_ref: WrittenRef
    required_authentication_refs: tuple[WrittenRef, ...]


class Written(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    metadata: Metadata
    spec: WrittenSpec


KNOWN = field_names(Written, WrittenSpec, WrittenRef)
ROUTE_GROUPS = (GROUP, "gateway.networking.k8s.io")
TARGETS = {"Server": (GROUP,), "HTTPRoute": ROUTE_GROUPS, "GRPCRoute": ROUTE_GROUPS, "Namespace": ACCOUNT_GROUPS}
AUTHENTICATIONS = {
    "MeshTLSAuthentication": (GROUP,),
    "NetworkAuthentication": (GROUP,),
    "ServiceAccount": ACCOUNT_GROUPS,
}


def parse(tree: Tree, group: str, kind: str) -> AuthorizationPolicy | list[Problem]:
    """An AuthorizationPolicy, or everything that is wrong with it."""
    written = decode(tree, Written, KNOWN)
    if isinstance(written, list):
        return written
    about = meta(tree, group, kind, written.metadata)
    spec, namespace = written.spec, written.metadata.namespace
    problems = [] if isinstance(about, Meta) else about
    problems += version_problems(tree, written.api_version, ("v1alpha1",))
    problems += _target_problems(tree, spec.target_ref, namespace)
    for index, ref in enumerate(spec.required_authentication_refs):
        problems += ref_problems(tree, ("spec", "requiredAuthenticationRefs", index), ref, AUTHENTICATIONS)
    problems += _number_problems(tree, spec.required_authentication_refs)
    if problems or not isinstance(about, Meta):
        return problems
    return AuthorizationPolicy(
        meta=about,
        target=_target(spec.target_ref, namespace),
        required=tuple(_required(ref, namespace) for ref in spec.required_authentication_refs),
    )


def _target_problems(tree: Tree, ref: WrittenRef, namespace: str) -> list[Problem]:
    at = ("spec", "targetRef")
    problems = ref_problems(tree, at, ref, TARGETS)
    meant = ref.name if ref.kind == "Namespace" else ref.namespace
    if meant and meant != namespace:
        where = (*at, "name") if ref.kind == "Namespace" else (*at, "namespace")
        reason = f"the policy is in namespace `{namespace}` and its target in `{meant}`"
        problems.append(tree.problem(where, "bad-reference", reason, "a policy stands in the namespace of its target"))
    return problems


def _number_problems(tree: Tree, refs: tuple[WrittenRef, ...]) -> list[Problem]:
    """All references must hold at once, and nobody has two identities."""
    problems = []
    for kinds, words in (
        (("MeshTLSAuthentication", "ServiceAccount"), "more than one MeshTLSAuthentication or ServiceAccount"),
        (("NetworkAuthentication",), "more than one NetworkAuthentication"),
    ):
        found = [index for index, ref in enumerate(refs) if ref.kind in kinds]
        if len(found) > 1:
            at = ("spec", "requiredAuthenticationRefs", found[1])
            hint = "all references must hold at once: write a second policy for `or`"
            problems.append(tree.problem(at, "bad-policy", f"{words} is required", hint))
    return problems


def _target(ref: WrittenRef, namespace: str) -> ObjectId:
    if ref.kind == "Namespace":
        return ObjectId("", "Namespace", "", namespace)
    return ObjectId(ref.group, ref.kind, namespace, ref.name)


def _required(ref: WrittenRef, namespace: str) -> ObjectId | Account:
    if ref.kind == "ServiceAccount":
        return account(ref, namespace)
    return ObjectId(ref.group, ref.kind, ref.namespace or namespace, ref.name)
