"""`weft restart`: stop and start a workload's replicas."""

from __future__ import annotations

import click

from weft.cli._shared import complete_workload, fail, mesh_option, namespace_option, outputs, told


@click.command()
@click.argument("name", metavar="WORKLOAD|REPLICA", shell_complete=complete_workload)
@outputs("text")
@mesh_option
@namespace_option
def command(name: str, output: str, mesh: str, namespace: str) -> None:
    """Restart a workload's replicas one after the other; each is ready before the next one stops."""
    from weft.lib.errors import WeftError
    from weft.local import client

    try:
        answer = client.ask(mesh, {"do": "restart", "name": name, "namespace": namespace})
    except WeftError as problem:
        fail(problem)
    restarted = answer.get("restarted")
    if told(restarted, output):
        return
    for key in restarted if isinstance(restarted, list) else []:
        click.echo(f"{key} restarted")
