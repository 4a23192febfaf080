"""The `weft` command: a group whose members are modules of this package.

A file `weft/cli/control_plane.py` that holds a click command named `command` is `weft control-plane`; nothing else is
needed to add one. It never imports a member before that member is asked for: start-up costs click and no more.
Help needs each member's first line, so `weft --help` alone imports them all.
"""

from __future__ import annotations

import importlib
import pkgutil

import click

from weft import __version__


class LazyGroup(click.Group):
    """A click group whose commands are the public modules of `weft.cli`, imported when used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names by looking at file names only."""
        return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command's module; None when there is no such command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"weft.cli module for {cmd_name!r} has no click command named `command`")
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="weft")
def main() -> None:
    """Run and look into a Weft service mesh."""
