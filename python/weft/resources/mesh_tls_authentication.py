"""The kind MeshTLSAuthentication (`policy.linkerd.io`): clients by the identity that they prove."""

import msgspec

from weft.lib.errors import Problem
from weft.model.authorization import MeshTLSAuthentication
from weft.model.meta import Meta
from weft.resources.access import (
    ACCOUNT_GROUPS,
    Shape,
    WrittenRef,
    account,
    identity_problems,
    ref_problems,
    version_problems,
)
from weft.resources.decode import decode, field_names
from weft.resources.metadata import Metadata, meta
from weft.resources.tree import Path, Tree


class WrittenSpec(Shape, frozen=True):
    identities: tuple[str, ...] | None = None
    identity_refs: tuple[WrittenRef, ...] | None = None


class Written(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    metadata: Metadata
    spec: WrittenSpec


KNOWN = field_names(Written, WrittenSpec, WrittenRef)


def parse(tree: Tree, group: str, kind: str) -> MeshTLSAuthentication | list[Problem]:
    """A MeshTLSAuthentication, or everything that is wrong with it."""
    written = decode(tree, Written, KNOWN)
    if isinstance(written, list):
        return written
    about = meta(tree, group, kind, written.metadata)
    spec = written.spec
    problems = [] if isinstance(about, Meta) else about
    problems += version_problems(tree, written.api_version, ("v1alpha1",))
    problems += _choice_problems(tree, spec)
    problems += identity_problems(tree, ("spec", "identities"), spec.identities or ())
    for index, ref in enumerate(spec.identity_refs or ()):
        problems += _ref_problems(tree, ("spec", "identityRefs", index), ref)
    if problems or not isinstance(about, Meta):
        return problems
    refs = spec.identity_refs or ()
    return MeshTLSAuthentication(
        meta=about,
        identities=spec.identities or (),
        accounts=tuple(account(ref, about.namespace) for ref in refs if ref.kind == "ServiceAccount"),
        namespaces=tuple(ref.name for ref in refs if ref.kind == "Namespace"),
    )


def _choice_problems(tree: Tree, spec: WrittenSpec) -> list[Problem]:
    if (spec.identities is None) == (spec.identity_refs is None):
        hint = 'identities: ["*"] means every client of the mesh'
        reason = "a MeshTLSAuthentication has exactly one of identities and identityRefs"
        return [tree.problem(("spec",), "bad-authentication", reason, hint)]
    field = "identities" if spec.identities is not None else "identityRefs"
    if not (spec.identities or spec.identity_refs):
        words = f"`spec.{field}` is empty: nobody would be meant"
        return [tree.problem(("spec", field), "bad-authentication", words, 'identities: ["*"] means everybody')]
    return []


def _ref_problems(tree: Tree, path: Path, ref: WrittenRef) -> list[Problem]:
    problems = ref_problems(tree, path, ref, {"ServiceAccount": ACCOUNT_GROUPS, "Namespace": ACCOUNT_GROUPS})
    if not problems and ref.kind == "Namespace" and ref.namespace:
        words = "a Namespace is in no namespace"
        problems.append(tree.problem((*path, "namespace"), "bad-reference", words, "leave `namespace` out"))
    return problems
