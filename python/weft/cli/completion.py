"""`weft completion`: the script that completes commands, options and names in a shell."""

from __future__ import annotations

import click

HINTS = {
    "bash": 'eval "$(weft completion bash)"                  # in ~/.bashrc',
    "zsh": 'eval "$(weft completion zsh)"                   # in ~/.zshrc',
    "fish": "weft completion fish > ~/.config/fish/completions/weft.fish",
}


@click.command(epilog="\b\n" + "\n".join(HINTS.values()))
@click.argument("shell", type=click.Choice(list(HINTS)))
def command(shell: str) -> None:
    """Print the script that makes SHELL complete weft's commands, options and the names of the running mesh."""
    from click.shell_completion import ShellComplete, get_completion_class

    completion = get_completion_class(shell)
    assert completion is not None
    # Not the class's own `source`, which for bash looks for the installed shell's version.
    click.echo(ShellComplete.source(completion(click.Command("weft"), {}, "weft", "_WEFT_COMPLETE")))
