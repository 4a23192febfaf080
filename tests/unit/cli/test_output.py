"""Which commands speak to programs, and that all of them do it by the same option."""

import json
from collections.abc import Iterator

import click
import pytest
import yaml
from click.testing import CliRunner

from weft.cli import main

WITHOUT = {
    "completion": "prints a script for a shell",
    "control-plane": "serves until it is stopped, and logs",
    "demo": "tells a story to people",
    "exec": "its output is that of the command it runs",
}
"""Commands that have nothing to say in JSON, and why."""
BY_LINE = {"logs"}
"""One JSON object a line, as it comes."""


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something by itself."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield " ".join((*path, name)), command


ALL = dict(commands(main))


def choices(command: click.Command) -> list[str]:
    option = next((each for each in command.params if each.name == "output"), None)
    if option is None:
        return []
    assert "-o" in option.opts
    assert isinstance(option.type, click.Choice)
    return list(option.type.choices)


@pytest.mark.parametrize("name", ALL)
def test_every_command_says_it_in_json(name: str) -> None:
    """Requirement: `-o json` and `-o yaml` everywhere, but where there is a reason against it."""
    offered = choices(ALL[name])
    assert offered[-2:] == ["json", "yaml"] or (name in BY_LINE and offered[-1] == "json") or not offered
    assert bool(offered) != (name in WITHOUT)


def test_the_exceptions_are_commands() -> None:
    """Requirement: nothing is excepted that is not there."""
    assert {*WITHOUT, *BY_LINE} <= ALL.keys()


@pytest.mark.parametrize("words", [("version",), ("version", "--short"), ("explain",), ("explain", "unknown-field")])
def test_what_needs_no_mesh_is_readable(words: tuple[str, ...]) -> None:
    """Requirement: nothing but one value on stdout."""
    by_json = CliRunner().invoke(main, [*words, "-o", "json"])
    by_yaml = CliRunner().invoke(main, [*words, "-o", "yaml"])
    assert json.loads(by_json.stdout) == yaml.safe_load(by_yaml.stdout)
