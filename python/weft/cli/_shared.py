"""What the commands about a running mesh have in common: the --mesh option, failures, tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from weft.lib.errors import WeftError

mesh_option = click.option("--mesh", default="default", show_default=True, help="Which mesh.")
namespace_option = click.option("-n", "--namespace", default="default", show_default=True, help="The workload's namespace.")
output_option = click.option(
    "-o", "--output", type=click.Choice(["table", "wide", "json"]), default="table", show_default=True, help="How to show it."
)


def fail(problem: WeftError) -> NoReturn:
    """Say what is wrong and what to do, and end with 1."""
    click.echo(f"weft: {problem.reason}" + (f"\n    hint: {problem.hint}" if problem.hint else ""), err=True)
    raise SystemExit(1)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned by spaces; numbers are the caller's to format."""
    widths = [max(len(row[column]) for row in [titles, *rows]) for column in range(len(titles))]
    lines = ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [titles, *rows]]
    return "\n".join(lines)
