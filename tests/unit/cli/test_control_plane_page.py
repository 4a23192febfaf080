"""The reference page of `weft control-plane`."""

from pathlib import Path

import click

from weft.cli.control_plane import command

PAGE = Path(__file__).parents[3] / "docs/reference/control-plane.md"


def row(option: click.Option) -> str:
    """One option as the page has it."""
    default = "required" if option.required else ""
    if isinstance(option.default, str | int) and not option.is_flag:
        default = f"`{option.default}`"
    kind = (
        f" One of {', '.join(f'`{each}`' for each in option.type.choices)}"
        if isinstance(option.type, click.Choice)
        else ""
    )
    return f"| `{option.opts[0]}` | {option.help}{kind} | {default} |"


def test_the_page_has_every_option() -> None:
    """Requirement: the table of options has the names, meanings and defaults of the command itself, in its order."""
    rows = [row(each) for each in command.params if isinstance(each, click.Option)]
    table = "\n".join(("| option | what it is | default |", "|---|---|---|", *rows))
    assert table in PAGE.read_text(encoding="utf-8"), f"the table is:\n{table}"
