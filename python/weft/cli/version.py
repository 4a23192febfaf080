"""`weft version`: versions of the parts."""

from __future__ import annotations

import click


@click.command()
@click.option("--short", is_flag=True, help="Only this command's version.")
def command(short: bool) -> None:
    """Show the versions of the command and of the proxy."""
    from weft import __version__

    if short:
        click.echo(__version__)
        return
    click.echo(f"weft:       {__version__}")
    click.echo(f"weft-proxy: {_proxy()}")


def _proxy() -> str:
    import subprocess

    from weft.lib.errors import WeftError
    from weft.local.control import find_proxy

    try:
        said = subprocess.run([find_proxy(), "--version"], capture_output=True, text=True, timeout=5)
    except (WeftError, OSError, subprocess.TimeoutExpired) as problem:
        return str(problem)
    return said.stdout.strip().removeprefix("weft-proxy ") or "unknown"
