"""What the commands about a running mesh have in common: options, failures, tables, live tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from weft.lib.errors import Problem, WeftError

Rows = list[dict[str, object]]

mesh_option = click.option("--mesh", default="default", show_default=True, help="Which mesh.")
namespace_option = click.option(
    "-n", "--namespace", default="default", show_default=True, help="The workload's namespace."
)
namespace_option_all = click.option("-n", "--namespace", help="Only this namespace.")
output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "wide", "json"]),
    default="table",
    show_default=True,
    help="How to show it.",
)
window_option = click.option(
    "-t", "--time-window", "window", default="1m", show_default=True, help="Such as 15s or 5m."
)
watch_option = click.option("-w", "--watch", is_flag=True, help="Refresh until Ctrl-C.")


def complete_workload(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of the running mesh: its workloads and their replicas."""
    from weft.lib.errors import WeftError
    from weft.local import client

    try:
        rows = client.rows(str(ctx.params.get("mesh") or "default"), {"do": "ps"})
    except (WeftError, OSError):
        return []
    replicas = [str(row["name"]) for row in rows]
    names = dict.fromkeys([*(name.rpartition("-")[0] for name in replicas), *replicas])
    return [name for name in names if name.startswith(incomplete)]


def fail(problem: WeftError) -> NoReturn:
    """Say what is wrong and what to do, and end with 1."""
    click.echo(f"weft: {problem.reason}" + (f"\n    hint: {problem.hint}" if problem.hint else ""), err=True)
    raise SystemExit(1)


def fail_with(problems: Sequence[Problem], output: str) -> NoReturn:
    """Show the problems of documents, for people on stderr or as JSON on stdout, and end with 1."""
    import dataclasses
    import json

    if output == "json":
        click.echo(json.dumps([dataclasses.asdict(problem) for problem in problems], indent=2))
    else:
        for problem in problems:
            click.echo(problem, err=True)
    raise SystemExit(1)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align columns by spaces; numbers are the caller's to format."""
    widths = [max(len(row[column]) for row in [titles, *rows]) for column in range(len(titles))]
    lines = [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [titles, *rows]
    ]
    return "\n".join(lines)


def show(
    read: Callable[[], Rows], cells: Callable[[Rows, bool], tuple[list[str], list[list[str]]]], output: str, watch: bool
) -> None:
    """Print rows once, or again every two seconds; on a terminal a live table stays in its place."""
    import json
    import sys

    def text() -> str:
        rows = read()
        return json.dumps(rows, indent=2) if output == "json" else table(*cells(rows, output == "wide"))

    if not watch:
        click.echo(text())
        return
    import threading

    pause = threading.Event()
    try:
        while True:
            fresh = text()
            if sys.stdout.isatty():
                click.clear()
            click.echo(fresh)
            pause.wait(REFRESH_SECONDS)
    except KeyboardInterrupt:
        return


def duration(text: str) -> float:
    """Read `90`, `15s`, `1m` or `1h` as seconds."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = 0.0
    if not MIN_WINDOW <= seconds <= MAX_WINDOW:
        raise click.BadParameter(f"{text} is not a time between 4s and 10m", param_hint="-t")
    return seconds


def percentage(value: object) -> str:
    """Show a share such as 0.9123 as `91.23%`."""
    return f"{value * 100:.2f}%" if isinstance(value, float) else "-"


def rate(value: object) -> str:
    """Show a number per second."""
    return f"{value:.1f}rps" if isinstance(value, float) else "-"


def milliseconds(value: object) -> str:
    """Show a latency."""
    return f"{value:.0f}ms" if isinstance(value, float) else "-"


REFRESH_SECONDS = 2.0
MIN_WINDOW = 4.0
MAX_WINDOW = 600.0
