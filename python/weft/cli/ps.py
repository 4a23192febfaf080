"""`weft ps`: the replicas of a mesh and whether they are ready."""

from __future__ import annotations

import click

from weft.cli._shared import fail, mesh_option, output_option, table, told


@click.command()
@mesh_option
@output_option
def command(mesh: str, output: str) -> None:
    """Show the replicas of a mesh."""
    from weft.lib.errors import WeftError
    from weft.local import client

    try:
        rows = client.rows(mesh, {"do": "ps"})
    except WeftError as problem:
        fail(problem)
    if told(rows, output):
        return
    titles = ["NAMESPACE", "NAME", "READY", "MESHED", "RESTARTS", "ADDRESS", "STATUS"]
    cells = [
        [
            str(row["namespace"]),
            str(row["name"]),
            "yes" if row["ready"] else "no",
            "yes" if row["meshed"] else "no",
            str(row["restarts"]),
            str(row["address"]),
            str(row["status"]),
        ]
        for row in rows
    ]
    if output == "wide":
        titles += ["PID", "PROXY_PID"]
        cells = [
            [*line, str(row["pid"] or "-"), str(row["proxy_pid"] or "-")] for line, row in zip(cells, rows, strict=True)
        ]
    click.echo(table(titles, cells))
