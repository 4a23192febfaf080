"""`metadata`, the same in every kind: names are checked here, once."""

import re

import msgspec

from weft.lib.errors import Problem
from weft.model.meta import Meta, ObjectId, Origin
from weft.resources.decode import mapping_problems
from weft.resources.tree import Tree

ORIGIN_ANNOTATION = "mesh.weft.dev/origin"
"""`FILE:LINE` of what a user wrote, on documents that a program made from it."""


class OwnerReference(msgspec.Struct, frozen=True, rename="camel"):
    kind: str
    name: str


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    namespace: str = "default"
    labels: dict[str, object] = {}
    annotations: dict[str, object] = {}
    creation_timestamp: str = ""
    deletion_timestamp: str = ""
    uid: str = ""
    owner_references: tuple[OwnerReference, ...] = ()


def meta(tree: Tree, group: str, kind: str, written: Metadata, *, namespaced: bool = True) -> Meta | list[Problem]:
    """The metadata as a value, or what is wrong with it."""
    problems = [
        *mapping_problems(tree, ("metadata", "labels"), written.labels),
        *mapping_problems(tree, ("metadata", "annotations"), written.annotations),
        *name_problems(tree, ("metadata", "name"), written.name),
        *name_problems(tree, ("metadata", "namespace"), written.namespace),
    ]
    if problems:
        return problems
    annotations = {key: str(value) for key, value in written.annotations.items()}
    return Meta(
        id=ObjectId(group, kind, written.namespace if namespaced else "", written.name),
        origin=_origin(tree, annotations),
        labels={key: str(value) for key, value in written.labels.items()},
        annotations=annotations,
        created=written.creation_timestamp,
        uid=written.uid,
    )


def name_problems(tree: Tree, path: tuple[str | int, ...], name: str) -> list[Problem]:
    """A Problem when `name` cannot be part of a DNS name."""
    if len(name) <= 253 and _NAME.fullmatch(name):
        return []
    hint = "use lower-case letters, digits and `-`, with a letter or digit first and last"
    return [tree.problem(path, "bad-name", f"`{name}` cannot be a name", hint)]


def _origin(tree: Tree, annotations: dict[str, str]) -> Origin:
    file, _, line = annotations.get(ORIGIN_ANNOTATION, "").rpartition(":")
    if file and line.isdecimal():
        return Origin(file, int(line))
    return Origin(tree.file, tree.line())


_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")
