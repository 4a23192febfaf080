"""The kind Service, as teams apply it to a cluster."""

from typing import Annotated, Literal

import msgspec

from weft.lib.errors import Problem
from weft.model.family import Family, plain
from weft.model.meta import Meta
from weft.model.service import Service, ServicePort
from weft.resources.decode import decode, mapping_problems
from weft.resources.metadata import Metadata, meta
from weft.resources.patience import patience
from weft.resources.tree import Path, Tree
from weft.resources.workload import PortNumber


class WrittenPort(msgspec.Struct, frozen=True, rename="camel"):
    port: PortNumber
    name: str = ""
    target_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] | str = 0
    app_protocol: str = ""
    protocol: str = "TCP"


class WrittenSpec(
    msgspec.Struct,
    frozen=True,
    rename={
        "cluster_ip": "clusterIP",
        "cluster_ips": "clusterIPs",
        "external_name": "externalName",
        "ip_families": "ipFamilies",
        "ip_family_policy": "ipFamilyPolicy",
        "publish_not_ready_addresses": "publishNotReadyAddresses",
    },
):
    ports: tuple[WrittenPort, ...] = ()
    selector: dict[str, object] = {}
    cluster_ip: str = ""
    cluster_ips: tuple[str, ...] = ()
    type: str = "ClusterIP"
    external_name: str = ""
    publish_not_ready_addresses: bool = False
    ip_families: tuple[Literal["IPv4", "IPv6"], ...] = ()
    ip_family_policy: Literal["SingleStack", "PreferDualStack", "RequireDualStack", ""] = ""


class WrittenService(msgspec.Struct, frozen=True):
    metadata: Metadata
    spec: WrittenSpec = WrittenSpec()


def parse(tree: Tree, group: str, kind: str) -> Service | list[Problem]:
    """A Service, or what is wrong with it."""
    written = decode(tree, WrittenService)
    if isinstance(written, list):
        return written
    about = meta(tree, group, kind, written.metadata)
    spec = written.spec
    problems = [] if isinstance(about, Meta) else about
    annotated, bad = patience(tree, kind, written.metadata.annotations)
    problems += [*bad, *mapping_problems(tree, ("spec", "selector"), spec.selector)]
    seen: set[tuple[int, str]] = set()
    for index, port in enumerate(spec.ports):
        if (port.port, port.protocol) in seen:
            path = ("spec", "ports", index, "port")
            problems.append(tree.problem(path, "duplicate-port", f"port `{port.port}` is listed twice"))
        seen.add((port.port, port.protocol))
    ips, address_problems = _addresses(tree, spec)
    problems += address_problems
    if problems or not isinstance(about, Meta):
        return problems
    return Service(
        meta=about,
        ports=tuple(
            ServicePort(port.name, port.port, port.target_port or port.port, port.app_protocol, port.protocol)
            for port in spec.ports
        ),
        selector={key: str(value) for key, value in spec.selector.items()},
        cluster_ips=ips,
        headless=spec.cluster_ip == "None",
        external_name=spec.external_name if spec.type == "ExternalName" else "",
        publish_not_ready=spec.publish_not_ready_addresses,
        ip_families=tuple(Family(name) for name in spec.ip_families),
        ip_family_policy=spec.ip_family_policy,
        patience=annotated,
    )


def _addresses(tree: Tree, spec: WrittenSpec) -> tuple[tuple[str, ...], list[Problem]]:
    """Return the cluster addresses, each once, and what is wrong with them and with the families."""
    written: list[tuple[Path, str]] = [(("spec", "clusterIP"), spec.cluster_ip)]
    written += [(("spec", "clusterIPs", index), ip) for index, ip in enumerate(spec.cluster_ips)]
    found: dict[str, None] = {}
    problems = []
    for path, text in written:
        if text in ("", "None"):
            continue
        try:
            found[plain(text)] = None
        except ValueError:
            problems.append(tree.problem(path, "bad-address", f"`{text}` is not an IP address"))
    families = ("spec", "ipFamilies")
    if len(set(spec.ip_families)) != len(spec.ip_families):
        problems.append(tree.problem(families, "duplicate-family", "a family is listed twice"))
    if spec.ip_family_policy == "SingleStack" and len(spec.ip_families) > 1:
        problems.append(tree.problem(families, "two-families", "`SingleStack` has one family, not two"))
    return tuple(found), problems
