"""`weft logs`: what workloads printed."""

from __future__ import annotations

import json

import click

from weft.cli._shared import complete_workload, fail, mesh_option, namespace_option, outputs


@click.command()
@click.argument("names", nargs=-1, metavar="[WORKLOAD|REPLICA]...", shell_complete=complete_workload)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is printed from now on.")
@click.option("--tail", type=click.IntRange(min=0), help="Only the last lines of each replica.")
@click.option("--proxy", is_flag=True, help="What the proxy printed instead.")
@click.option("--all", "everything", is_flag=True, help="Application and proxy.")
@outputs("text", lines=True)
@mesh_option
@namespace_option
def command(
    names: tuple[str, ...],
    follow: bool,
    tail: int | None,
    proxy: bool,
    everything: bool,
    output: str,
    mesh: str,
    namespace: str,
) -> None:
    """Show what the replicas of workloads printed; without a name, of every workload of the namespace.

    On a terminal each replica has a colour of its own (NO_COLOR: none).
    """
    from weft.lib.errors import WeftError
    from weft.local import client

    part = "all" if everything else "proxy" if proxy else "app"
    request = {"do": "logs", "names": names, "namespace": namespace, "follow": follow, "lines": tail, "part": part}
    colours: dict[str, str] = {}
    try:
        with client.conversation(mesh, request) as answers:
            for answer in answers:
                name, line = str(answer["name"]), str(answer["line"])
                if output == "json":
                    click.echo(json.dumps({"name": name, "line": line}, ensure_ascii=False))
                else:
                    colour = colours.setdefault(name, COLOURS[len(colours) % len(COLOURS)])
                    click.echo(f"{_styled(name, colour)}  {line}")
    except WeftError as problem:
        fail(problem)
    except (KeyboardInterrupt, BrokenPipeError):
        return


def _styled(name: str, colour: str) -> str:
    import os
    import sys

    # Nothing of what workloads print is taken off, so the colour must not be there where it is not wanted.
    return click.style(name, fg=colour) if sys.stdout.isatty() and "NO_COLOR" not in os.environ else name


COLOURS = (
    "cyan",
    "green",
    "yellow",
    "magenta",
    "blue",
    "bright_cyan",
    "bright_green",
    "bright_yellow",
    "bright_magenta",
)
