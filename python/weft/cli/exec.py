"""`weft exec`: run a command beside a replica's application."""

from __future__ import annotations

import click

from weft.cli._shared import complete_workload, fail, mesh_option, namespace_option


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@mesh_option
@namespace_option
@click.argument("name", metavar="WORKLOAD|REPLICA", shell_complete=complete_workload)
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
def command(name: str, arguments: tuple[str, ...], mesh: str, namespace: str) -> None:
    """Run COMMAND in a replica's namespaces as its application's user; a workload means its replica 0."""
    from weft.lib.errors import WeftError
    from weft.local import client

    words = list(arguments[1:] if arguments[0] == "--" else arguments)
    request: dict[str, object] = {"do": "exec", "name": name, "namespace": namespace, "command": words}
    code = 1
    try:
        with client.conversation(mesh, request, (0, 1, 2)) as answers:
            for answer in answers:
                code = int(str(answer["exit"]))
    except WeftError as problem:
        fail(problem)
    except KeyboardInterrupt:
        code = 130
    raise SystemExit(code)
