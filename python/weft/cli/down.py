"""`weft down`: stop a mesh."""

from __future__ import annotations

import click

from weft.cli._shared import fail, mesh_option, outputs, told


@click.command()
@mesh_option
@outputs("text")
def command(mesh: str, output: str) -> None:
    """Stop a mesh: applications and proxies are asked to end, then made to."""
    from weft.lib.errors import WeftError
    from weft.local import client, host

    try:
        state = client.running(mesh)
        with client.conversation(mesh, {"do": "down"}) as answers:
            for _ in answers:
                pass
        host.wait_until_gone(state)
    except WeftError as problem:
        fail(problem)
    if not told({"mesh": mesh, "result": "stopped"}, output):
        click.echo(f"mesh {mesh} is stopped")
