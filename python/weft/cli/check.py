"""`weft check`: whether this machine can run a mesh, what in files would fail later, and how the mesh that runs is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from weft.cli._shared import mesh_option, outputs, told

if TYPE_CHECKING:
    from weft.local.checks import Finding


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE|DIR]...", type=click.Path(path_type=Path))
@mesh_option
@outputs("table")
def command(files: tuple[Path, ...], mesh: str, output: str) -> None:
    """Look for what is wrong or soon will be on this machine, in mesh FILEs and in the mesh, and say what to do.

    Ends with 1 if something does not work.
    """
    from weft.lib.clock import system
    from weft.lib.errors import WeftError
    from weft.local import checks, client, machine, policy, status

    found = machine.findings(mesh, files)
    try:
        found += checks.identity(client.ask(mesh, {"do": "identity"}), system())
        found += status.findings(policy.snapshot(mesh))
    except WeftError as problem:
        found.append(checks.Finding("mesh", f"{mesh} answers", checks.Outcome.WARNING, problem.reason, problem.hint))
    if not told([_row(each) for each in found], output):
        click.echo(_text(found))
    if any(each.outcome is checks.Outcome.FAILED for each in found):
        raise SystemExit(1)


def _row(finding: Finding) -> dict[str, str]:
    return {
        "section": finding.section,
        "name": finding.name,
        "outcome": finding.outcome.value,
        "detail": finding.detail,
        "hint": finding.hint,
    }


def _text(found: list[Finding]) -> str:
    lines: list[str] = []
    section = ""
    for each in found:
        if each.section != section:
            section = each.section
            lines += [*([""] if lines else []), section, "-" * len(section)]
        lines.append(f"{MARKS[each.outcome.value]} {each.name}" + (f": {each.detail}" if each.detail else ""))
        if each.hint:
            lines.append(f"    hint: {each.hint}")
    return "\n".join(lines)


MARKS = {"ok": "√", "warning": "‼", "failed": "×"}
