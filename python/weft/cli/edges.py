"""`weft edges`: who talks to whom, and with which identities."""

from __future__ import annotations

import click

from weft.cli._shared import duration, fail, mesh_option, output_option, show, watch_option, window_option


@click.command()
@window_option
@watch_option
@output_option
@mesh_option
def command(window: str, watch: bool, output: str, mesh: str) -> None:
    """Show the connections between workloads and whether they are secured by mutual TLS."""
    from weft.lib.errors import WeftError
    from weft.local import client

    request = {"do": "edges", "window": duration(window)}
    try:
        show(lambda: client.rows(mesh, request), _edges, output, watch)
    except WeftError as problem:
        fail(problem)


def _edges(rows: list[dict[str, object]], wide: bool) -> tuple[list[str], list[list[str]]]:
    titles = ["SRC", "DST", "SRC_NS", "DST_NS", "SECURED", "CLIENT_ID", "SERVER_ID"]
    names = ("src", "dst", "src_namespace", "dst_namespace")
    shorten = (lambda identity: identity) if wide else _short
    cells = [
        [
            *(str(row[name]) for name in names),
            "√" if row["secured"] else "×",
            shorten(str(row["client_id"])) or "-",
            shorten(str(row["server_id"])) or "-",
        ]
        for row in rows
    ]
    return titles, cells


def _short(identity: str) -> str:
    """Return service account and namespace of an identity; `-o wide` has all of it."""
    return ",".join(each.partition(".serviceaccount.")[0] for each in identity.split(","))
