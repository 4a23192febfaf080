"""`weft apply`: put documents in force in a running mesh."""

from __future__ import annotations

import click

from weft.cli._documents import files_option, read_texts, refused
from weft.cli._shared import fail, mesh_option, outputs, told


@click.command()
@files_option
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@outputs("text")
@mesh_option
def command(files: tuple[str, ...], dry_run: bool, output: str, mesh: str) -> None:
    """Put documents in force, until the mesh ends or the document of the same name in its files changes."""
    from weft.lib.errors import WeftError
    from weft.local import client

    request = {"do": "apply", "texts": read_texts(files), "dry_run": dry_run}
    try:
        answer = client.ask(mesh, request)
    except WeftError as problem:
        fail(problem)
    refused(answer, output)
    done = answer.get("done")
    rows = [{"document": name, "result": result} for name, result in (done if isinstance(done, list) else [])]
    if not told(rows, output):
        for row in rows:
            click.echo(f"{row['document']} {row['result']}{' (dry run)' if dry_run else ''}")
