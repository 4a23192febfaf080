"""`weft policy explain`: which rule lets a request in or refuses it, and where that rule is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from weft.cli._shared import fail, mesh_option, namespace_option, output_option, table, told

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
@output_option
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
        explained = policy.explained(policy.snapshot(mesh), source, destination, asked, namespace)
    except WeftError as problem:
        fail(problem)
    if not told(_values(explained), output):
        click.echo(_text(explained, wide=output == "wide"))


def _text(explained: Explained, *, wide: bool) -> str:
    verdict, request = explained.explanation.verdict, explained.request
    what = f"{request.method} {request.path}" if request else "bytes"
    who = explained.client.identity or f"{explained.client.address}, without an identity"
    by = f" by {verdict.authorization.kind} {verdict.authorization.name}" if verdict.authorization else ""
    on = f", on route {verdict.route.name}" if verdict.route else ""
    lines = [
        f"{explained.client_name} ({who}) -> {explained.server.meta.name} port {explained.port}: {what}",
        f"{verdict.outcome.value.upper()}{by}{on}" + (f": {verdict.reason}" if verdict.reason else ""),
        "",
    ]
    cells = [[rule.part.value, rule.what, rule.origin or "built in", rule.says] for rule in explained.explanation.rules]
    lines.append(table(["PART", "RULE", "WRITTEN_AT", "SAYS"], cells))
    if wide:
        found = [[" ".join(key), ", ".join(map(str, ids)) or "-"] for key, ids in _because(explained)]
        lines += ["", table(["LOOKED_UP", "FOUND"], found)]
    return "\n".join(lines)


def _values(explained: Explained) -> dict[str, object]:
    verdict = explained.explanation.verdict
    return {
        "allowed": verdict.authorization is not None,
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "authorization": verdict.authorization.name if verdict.authorization else "",
        "route": verdict.route.name if verdict.route else "",
        "client": {
            "name": explained.client_name,
            "address": explained.client.address,
            "identity": explained.client.identity,
        },
        "server": {
            "name": explained.server.meta.name,
            "namespace": explained.server.meta.namespace,
            "port": explained.port,
        },
        "protocol": explained.explanation.protocol.value,
        "rules": [
            {"part": each.part.value, "rule": each.what, "origin": each.origin, "says": each.says}
            for each in explained.explanation.rules
        ],
        "because": [{"looked_up": list(key), "found": list(map(str, ids))} for key, ids in _because(explained)],
    }


def _because(explained: Explained) -> list[tuple[tuple[str, ...], tuple[object, ...]]]:
    return sorted(explained.explanation.because.found.items())
