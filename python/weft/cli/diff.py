"""`weft diff`: what `weft apply` would change."""

from __future__ import annotations

import difflib

import click

from weft.cli._documents import documents_in, files_option, read_texts, resource
from weft.cli._shared import as_yaml, fail, mesh_option, outputs, told


@click.command()
@files_option
@outputs("text")
@mesh_option
def command(files: tuple[str, ...], output: str, mesh: str) -> None:
    """Compare documents with those in force; exit code 1 when they differ, more than 1 when that is not known."""
    from weft.lib.errors import WeftError
    from weft.local import client

    try:
        running = {_key(row): row["written"] for row in client.rows(mesh, {"do": "documents"}) if row["written"]}
        wanted = documents_in(read_texts(files), output)
    except WeftError as problem:
        try:
            fail(problem)
        except SystemExit:
            raise SystemExit(2) from None
    except SystemExit:
        raise SystemExit(2) from None
    different = [row for row in wanted if running.get(_key(row)) != row["content"]]
    if not told([_value(row, running.get(_key(row))) for row in different], output):
        for row in different:
            _show(row, running.get(_key(row)))
    raise SystemExit(1 if different else 0)


def _value(row: dict[str, object], known: object) -> dict[str, object]:
    return {"document": resource(row), "namespace": row["namespace"], "in_force": known, "in_file": row["content"]}


def _show(row: dict[str, object], known: object) -> None:
    before = as_yaml(known).splitlines() if known is not None else []
    after = as_yaml(row["content"]).splitlines()
    name = f"{resource(row)} ({row['namespace'] or 'no namespace'})"
    for line in difflib.unified_diff(before, after, f"in force: {name}", f"in the file: {name}", lineterm=""):
        click.echo(click.style(line, fg=COLOURS.get(line[:1])))


def _key(row: dict[str, object]) -> tuple[object, ...]:
    return row["group"], row["kind"], row["namespace"], row["name"]


COLOURS = {"+": "green", "-": "red", "@": "cyan"}
