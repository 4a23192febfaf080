"""The kind Namespace."""

import msgspec

from weft.lib.errors import Problem
from weft.model.meta import Meta
from weft.model.namespace import Namespace
from weft.resources.decode import decode
from weft.resources.metadata import Metadata, meta
from weft.resources.tree import Tree


class WrittenNamespace(msgspec.Struct, frozen=True):
    metadata: Metadata


def parse(tree: Tree, group: str, kind: str) -> Namespace | list[Problem]:
    """A Namespace, or what is wrong with it."""
    written = decode(tree, WrittenNamespace)
    if isinstance(written, list):
        return written
    about = meta(tree, group, kind, written.metadata, namespaced=False)
    return Namespace(meta=about) if isinstance(about, Meta) else about
