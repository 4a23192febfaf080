"""`weft diff`: what `weft apply` would change."""

from __future__ import annotations

import difflib

import click

from weft.cli._documents import as_yaml, documents_in, files_option, read_texts, resource
from weft.cli._shared import fail, mesh_option


@click.command()
@files_option
@mesh_option
def command(files: tuple[str, ...], mesh: str) -> None:
    """Compare documents with those in force; exit code 1 when they differ, more than 1 when that is not known."""
    from weft.lib.errors import WeftError
    from weft.local import client

    try:
        running = {_key(row): row["written"] for row in client.rows(mesh, {"do": "documents"}) if row["written"]}
        wanted = documents_in(read_texts(files))
    except WeftError as problem:
        try:
            fail(problem)
        except SystemExit:
            raise SystemExit(2) from None
    except SystemExit:
        raise SystemExit(2) from None
    differs = False
    for row in wanted:
        known = running.get(_key(row))
        before = as_yaml(known).splitlines() if known is not None else []
        after = as_yaml(row["content"]).splitlines()
        name = f"{resource(row)} ({row['namespace'] or 'no namespace'})"
        lines = list(difflib.unified_diff(before, after, f"in force: {name}", f"in the file: {name}", lineterm=""))
        differs = differs or bool(lines)
        for line in lines:
            click.echo(click.style(line, fg=COLOURS.get(line[:1])))
    raise SystemExit(1 if differs else 0)


def _key(row: dict[str, object]) -> tuple[object, ...]:
    return row["group"], row["kind"], row["namespace"], row["name"]


COLOURS = {"+": "green", "-": "red", "@": "cyan"}
