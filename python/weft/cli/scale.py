"""`weft scale`: run more or fewer replicas of a workload."""

from __future__ import annotations

import click

from weft.cli._documents import refused
from weft.cli._shared import complete_workload, fail, mesh_option, namespace_option, outputs, told


@click.command()
@click.argument("name", metavar="WORKLOAD", shell_complete=complete_workload)
@click.option("--replicas", type=click.IntRange(0, 1000), required=True, help="How many.")
@outputs("text")
@mesh_option
@namespace_option
def command(name: str, replicas: int, output: str, mesh: str, namespace: str) -> None:
    """Set a workload's number of replicas, until the mesh ends or its document in the mesh's files changes."""
    from weft.lib.errors import WeftError
    from weft.local import client

    name = name.removeprefix("workload/")
    request = {"do": "scale", "name": name, "namespace": namespace, "replicas": replicas}
    try:
        refused(client.ask(mesh, request), output)
    except WeftError as problem:
        fail(problem)
    done = {"document": f"workload/{name}", "result": "scaled", "replicas": replicas}
    if not told([done], output):
        click.echo(f"workload/{name} scaled to {replicas}")
