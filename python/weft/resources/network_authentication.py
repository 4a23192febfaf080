"""The kind NetworkAuthentication (`policy.linkerd.io`): clients by the networks that they come from."""

import msgspec

from weft.lib.errors import Problem
from weft.model.authorization import NetworkAuthentication
from weft.model.meta import Meta
from weft.resources.access import Shape, WrittenNetwork, network_problems, networks, version_problems
from weft.resources.decode import decode, field_names
from weft.resources.metadata import Metadata, meta
from weft.resources.tree import Tree


class WrittenSpec(Shape, frozen=True):
    networks: tuple[WrittenNetwork, ...]


class Written(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    metadata: Metadata
    spec: WrittenSpec


KNOWN = field_names(Written, WrittenSpec, WrittenNetwork)


def parse(tree: Tree, group: str, kind: str) -> NetworkAuthentication | list[Problem]:
    """A NetworkAuthentication, or everything that is wrong with it."""
    written = decode(tree, Written, KNOWN)
    if isinstance(written, list):
        return written
    about = meta(tree, group, kind, written.metadata)
    problems = [] if isinstance(about, Meta) else about
    problems += version_problems(tree, written.api_version, ("v1alpha1",))
    at = ("spec", "networks")
    if not written.spec.networks:
        hint = "- cidr: 10.0.0.0/8"
        problems.append(tree.problem(at, "missing-field", "`spec.networks` is empty: nobody would be meant", hint))
    problems += network_problems(tree, at, written.spec.networks)
    if problems or not isinstance(about, Meta):
        return problems
    return NetworkAuthentication(meta=about, networks=networks(written.spec.networks))
