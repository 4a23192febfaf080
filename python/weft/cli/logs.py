"""`weft logs`: what a workload printed."""

from __future__ import annotations

import click

from weft.cli._shared import fail, mesh_option, namespace_option


@click.command()
@click.argument("name", metavar="WORKLOAD|REPLICA")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is printed from now on.")
@click.option("--tail", type=click.IntRange(min=0), help="Only the last lines of each replica.")
@click.option("--proxy", is_flag=True, help="What the proxy printed instead.")
@click.option("--all", "everything", is_flag=True, help="Application and proxy.")
@mesh_option
@namespace_option
def command(
    name: str, follow: bool, tail: int | None, proxy: bool, everything: bool, mesh: str, namespace: str
) -> None:
    """Show what a workload's replicas printed."""
    from weft.lib.errors import WeftError
    from weft.local import client

    part = "all" if everything else "proxy" if proxy else "app"
    request = {"do": "logs", "name": name, "namespace": namespace, "follow": follow, "lines": tail, "part": part}
    try:
        with client.conversation(mesh, request) as answers:
            for answer in answers:
                click.echo(f"{answer['name']}  {answer['line']}")
    except WeftError as problem:
        fail(problem)
    except KeyboardInterrupt:
        return
