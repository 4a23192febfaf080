"""`weft version`: versions of the parts."""

from __future__ import annotations

import click

from weft.cli._shared import outputs, told


@click.command()
@click.option("--short", is_flag=True, help="Only this command's version.")
@outputs("text")
def command(short: bool, output: str) -> None:
    """Show the versions of the command and of the proxy."""
    from weft import __version__

    versions = {"weft": __version__} if short else {"weft": __version__, "weft-proxy": _proxy()}
    if told(versions, output):
        return
    if short:
        click.echo(__version__)
        return
    for name, version in versions.items():
        click.echo(f"{f'{name}:':<12}{version}")


def _proxy() -> str:
    import subprocess

    from weft.lib.errors import WeftError
    from weft.local.control import find_proxy

    try:
        said = subprocess.run([find_proxy(), "--version"], capture_output=True, text=True, timeout=5)
    except (WeftError, OSError, subprocess.TimeoutExpired) as problem:
        return str(problem)
    return said.stdout.strip().removeprefix("weft-proxy ") or "unknown"
