"""`weft authz`: which documents let somebody reach a workload."""

from __future__ import annotations

import json

import click

from weft.cli._shared import fail, mesh_option, namespace_option, output_option, table


@click.command()
@click.argument("resource", metavar="WORKLOAD")
@output_option
@namespace_option
@mesh_option
def command(resource: str, output: str, namespace: str, mesh: str) -> None:
    """Show the grants on the Servers and routes of a workload or replica; `*` is every route."""
    from weft.lib.errors import WeftError
    from weft.local import policy

    try:
        rows = policy.authorizations(policy.snapshot(mesh), resource, namespace)
    except WeftError as problem:
        fail(problem)
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    columns = ["route", "server", "authorization_policy", "server_authorization"]
    columns += ["default"] if output == "wide" else []
    shown = [row for row in rows if output == "wide" or not row["default"]]
    cells = [[str(row[column]) for column in columns] for row in shown]
    click.echo(table([column.upper() for column in columns], cells))
