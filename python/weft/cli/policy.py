"""`weft policy explain`: which rule lets a request in or refuses it, and where that rule is written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from weft.cli._shared import fail, mesh_option, namespace_option, table

if TYPE_CHECKING:
    from weft.local.policy import Explained


@click.group()
def command() -> None:
    """Ask what policy does."""


@command.command()
@click.argument("source")
@click.argument("destination")
@click.argument("method", default="")
@click.argument("path", default="")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header; may be repeated.")
@click.option("-o", "--output", type=click.Choice(["table", "wide", "json"]), default="table", show_default=True)
@namespace_option
@mesh_option
def explain(
    source: str,
    destination: str,
    method: str,
    path: str,
    headers: tuple[str, ...],
    output: str,
    namespace: str,
    mesh: str,
) -> None:
    """Say whether SOURCE may send METHOD PATH to DESTINATION, and which document decides.

    SOURCE is a workload, a replica, an identity, or the address of a client outside the mesh; DESTINATION is NAME or
    NAME:PORT. Names of other namespaces are written NAMESPACE/NAME. Without METHOD PATH: GET /, or bytes on an opaque
    port.
    """
    from weft.compile.judge import Request
    from weft.lib.errors import WeftError
    from weft.local import policy

    pairs = tuple((name.strip(), value.strip()) for name, _, value in (each.partition(":") for each in headers))
    named = next((value for name, value in pairs if name.lower() == "host"), "")
    host = named or destination.rpartition("/")[2]
    asked = Request(method.upper(), path or "/", host, pairs) if method else None
    try:
        told = policy.explained(policy.snapshot(mesh), source, destination, asked, namespace)
    except WeftError as problem:
        fail(problem)
    click.echo(json.dumps(_values(told), indent=2) if output == "json" else _text(told, wide=output == "wide"))


def _text(told: Explained, *, wide: bool) -> str:
    verdict, request = told.explanation.verdict, told.request
    what = f"{request.method} {request.path}" if request else "bytes"
    who = told.client.identity or f"{told.client.address}, without an identity"
    by = f" by {verdict.authorization.kind} {verdict.authorization.name}" if verdict.authorization else ""
    on = f", on route {verdict.route.name}" if verdict.route else ""
    lines = [
        f"{told.client_name} ({who}) -> {told.server.meta.name} port {told.port}: {what}",
        f"{verdict.outcome.value.upper()}{by}{on}" + (f": {verdict.reason}" if verdict.reason else ""),
        "",
    ]
    cells = [[rule.part.value, rule.what, rule.origin or "built in", rule.says] for rule in told.explanation.rules]
    lines.append(table(["PART", "RULE", "WRITTEN_AT", "SAYS"], cells))
    if wide:
        found = [[" ".join(key), ", ".join(map(str, ids)) or "-"] for key, ids in _because(told)]
        lines += ["", table(["LOOKED_UP", "FOUND"], found)]
    return "\n".join(lines)


def _values(told: Explained) -> dict[str, object]:
    verdict = told.explanation.verdict
    return {
        "allowed": verdict.authorization is not None,
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "authorization": verdict.authorization.name if verdict.authorization else "",
        "route": verdict.route.name if verdict.route else "",
        "client": {"name": told.client_name, "address": told.client.address, "identity": told.client.identity},
        "server": {"name": told.server.meta.name, "namespace": told.server.meta.namespace, "port": told.port},
        "protocol": told.explanation.protocol.value,
        "rules": [
            {"part": each.part.value, "rule": each.what, "origin": each.origin, "says": each.says}
            for each in told.explanation.rules
        ],
        "because": [{"looked_up": list(key), "found": list(map(str, ids))} for key, ids in _because(told)],
    }


def _because(told: Explained) -> list[tuple[tuple[str, ...], tuple[object, ...]]]:
    return sorted(told.explanation.because.found.items())
