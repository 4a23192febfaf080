"""`weft restart`: stop and start a workload's replicas."""

from __future__ import annotations

import click

from weft.cli._shared import fail, mesh_option, namespace_option


@click.command()
@click.argument("name", metavar="WORKLOAD|REPLICA")
@mesh_option
@namespace_option
def command(name: str, mesh: str, namespace: str) -> None:
    """Restart a workload's replicas one after the other; each is ready before the next one stops."""
    from weft.lib.errors import WeftError
    from weft.local import client

    try:
        answer = client.ask(mesh, {"do": "restart", "name": name, "namespace": namespace})
    except WeftError as problem:
        fail(problem)
    restarted = answer.get("restarted")
    for key in restarted if isinstance(restarted, list) else []:
        click.echo(f"{key} restarted")
