"""The kind Server (`policy.linkerd.io`), as Linkerd's users write it."""

from typing import Annotated

import msgspec

from weft.lib.errors import Problem
from weft.model.meta import Meta
from weft.model.server import ProxyProtocol, Server
from weft.model.settings import INBOUND_POLICIES
from weft.resources.access import (
    Shape,
    WrittenExpression,
    WrittenSelector,
    one_of,
    selector,
    selector_problems,
    version_problems,
)
from weft.resources.decode import decode, field_names
from weft.resources.metadata import Metadata, meta
from weft.resources.tree import Tree
from weft.resources.workload import PortNumber

VERSIONS = ("v1alpha1", "v1beta1", "v1beta2", "v1beta3")


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
    problems += version_problems(tree, written.api_version, VERSIONS)
    protocols = tuple(each.value for each in ProxyProtocol)
    problems += one_of(tree, ("spec", "proxyProtocol"), spec.proxy_protocol, protocols, "a protocol")
    problems += one_of(tree, ("spec", "accessPolicy"), spec.access_policy, INBOUND_POLICIES, "an access policy")
    if (spec.pod_selector is None) == (spec.external_workload_selector is None):
        reason = "a Server has exactly one of podSelector and externalWorkloadSelector"
        problems.append(tree.problem(("spec",), "bad-selector", reason, "`podSelector: {}` selects every pod"))
    problems += selector_problems(tree, ("spec", "podSelector"), spec.pod_selector)
    problems += selector_problems(tree, ("spec", "externalWorkloadSelector"), spec.external_workload_selector)
    if problems or not isinstance(about, Meta):
        return problems
    return Server(
        meta=about,
        pods=selector(spec.pod_selector) if spec.pod_selector is not None else None,
        port=spec.port,
        protocol=ProxyProtocol(spec.proxy_protocol),
        access_policy=spec.access_policy,
    )
