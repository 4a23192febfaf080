"""`weft delete`: take documents out of a running mesh."""

from __future__ import annotations

import click

from weft.cli._documents import complete_kind as _complete_kind
from weft.cli._documents import documents_in, files_option, found, name_argument, read_texts, refused, resource
from weft.cli._shared import Rows, fail, mesh_option, outputs, told


@click.command()
@click.argument(
    "kind", required=False, metavar="[KIND[/NAME]]", shell_complete=lambda c, _, text: _complete_kind(c, text)
)
@name_argument
@files_option
@click.option("-n", "--namespace", default="default", show_default=True, help="The document's namespace.")
@outputs("text")
@mesh_option
def command(kind: str | None, name: str | None, files: tuple[str, ...], namespace: str, output: str, mesh: str) -> None:
    """Delete a document, or those in FILE, until the mesh ends or the document in the mesh's files changes."""
    from weft.lib.errors import WeftError
    from weft.local import client

    if (kind is None) == (not files):
        raise click.UsageError("say KIND NAME, or -f FILE")
    if kind is not None and name is None and "/" not in kind:
        raise click.UsageError("say which one: KIND NAME")
    try:
        if kind is None:
            rows = documents_in(read_texts(files), output)
        else:
            rows = _written(found(client.rows(mesh, {"do": "documents"}), kind, name, namespace))
        ids = [[row["group"], row["kind"], row["namespace"], row["name"]] for row in rows]
        refused(client.ask(mesh, {"do": "delete", "ids": ids}), output)
    except WeftError as problem:
        fail(problem)
    if not told([{"document": resource(row), "result": "deleted"} for row in rows], output):
        for row in rows:
            click.echo(f"{resource(row)} deleted")


def _written(rows: Rows) -> Rows:
    """Only what somebody wrote can be deleted."""
    from weft.lib.errors import WeftError

    for row in rows:
        if row["source"] == "made":
            hint = "delete or change the Workload behind it; `weft restart` and `weft scale` are for its replicas"
            raise WeftError(f"{resource(row)} is made by local mode", hint)
    return rows
