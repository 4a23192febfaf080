"""`weft get`: the documents of a running mesh."""

from __future__ import annotations

from typing import Any

import click

from weft.cli._documents import found, kind_argument, name_argument, resource, sections, show_documents
from weft.cli._shared import fail, mesh_option, outputs


@click.command()
@kind_argument
@name_argument
@click.option("-n", "--namespace", help="Only this namespace.")
@outputs("table", "wide", "name")
@mesh_option
def command(kind: str, name: str | None, namespace: str | None, output: str, mesh: str) -> None:
    """Show documents as they are in force: Workloads, Services, Pods, routes, policies ... (`all`: every kind)."""
    from weft.lib.errors import WeftError
    from weft.local import client, status

    try:
        rows = found(client.rows(mesh, {"do": "documents"}), kind, name, namespace)
        rows = status.beside(rows, mesh)
    except WeftError as problem:
        fail(problem)
    if output in ("json", "yaml"):
        show_documents(rows, output, single=name is not None or "/" in kind)
    elif output == "name":
        for row in rows:
            click.echo(resource(row))
    elif rows:
        click.echo("\n\n".join(sections(rows, output == "wide", CELLS)))


def _spec(row: dict[str, object]) -> dict[str, Any]:
    content = row["content"]
    spec = content.get("spec") if isinstance(content, dict) else None
    return spec if isinstance(spec, dict) else {}


def _workload(row: dict[str, object]) -> list[str]:
    spec = _spec(row)
    return [str(spec.get("replicas", 1)), " ".join(map(str, spec.get("command", [])))[:60]]


def _service(row: dict[str, object]) -> list[str]:
    spec = _spec(row)
    addresses = [str(ip) for ip in spec.get("clusterIPs", [])]
    ports = ",".join(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in spec.get("ports", []))
    return [spec.get("externalName") or ",".join(addresses) or "-", ports or "-"]


def _pod(row: dict[str, object]) -> list[str]:
    content = row["content"]
    status = content.get("status", {}) if isinstance(content, dict) else {}
    ready = [each["status"] for each in status.get("conditions", []) if each["type"] == "Ready"]
    return ["yes" if ready == ["True"] else "no", str(status.get("podIP", "-"))]


def _route(row: dict[str, object]) -> list[str]:
    spec = _spec(row)
    parents = ",".join(f"{ref.get('kind', 'Gateway')}/{ref.get('name')}" for ref in spec.get("parentRefs", []))
    return [parents or "-", ",".join(spec.get("hostnames", [])) or "-", str(len(spec.get("rules", [None])))]


def _server(row: dict[str, object]) -> list[str]:
    spec = _spec(row)
    return [str(spec.get("port")), spec.get("proxyProtocol", "unknown"), spec.get("accessPolicy", "deny")]


def _profile(row: dict[str, object]) -> list[str]:
    spec = _spec(row)
    return [str(len(spec.get("routes") or [])), str(len(spec.get("dstOverrides") or []))]


def _target(row: dict[str, object]) -> list[str]:
    ref = _spec(row).get("targetRef", {})
    return [f"{ref.get('kind')}/{ref.get('name')}"]


CELLS: dict[str, tuple[list[str], object]] = {
    "Workload": (["REPLICAS", "COMMAND"], _workload),
    "Service": (["CLUSTER_IP", "PORTS"], _service),
    "Pod": (["READY", "ADDRESS"], _pod),
    "HTTPRoute": (["PARENTS", "HOSTNAMES", "RULES"], _route),
    "GRPCRoute": (["PARENTS", "HOSTNAMES", "RULES"], _route),
    "Server": (["PORT", "PROTOCOL", "ACCESS_POLICY"], _server),
    "ServiceProfile": (["ROUTES", "OVERRIDES"], _profile),
    "AuthorizationPolicy": (["TARGET"], _target),
}
