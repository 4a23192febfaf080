"""What the commands about a running mesh have in common: options, failures, tables, live tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from weft.lib.errors import Problem, WeftError

Rows = list[dict[str, object]]
Command = TypeVar("Command", bound="Callable[..., Any] | click.Command")

mesh_option = click.option("--mesh", default="default", show_default=True, help="Which mesh.")
namespace_option = click.option(
    "-n", "--namespace", default="default", show_default=True, help="The workload's namespace."
)
namespace_option_all = click.option("-n", "--namespace", help="Only this namespace.")


def outputs(*for_people: str, lines: bool = False) -> Callable[[Command], Command]:
    """`-o`: forms for people, the first of them by default, and those for programs, which have nothing else on stdout.

    `lines`: one JSON object a line, as it comes; YAML has no such form.
    """
    for_programs = ["json"] if lines else ["json", "yaml"]
    return click.option(
        "-o",
        "--output",
        type=click.Choice([*for_people, *for_programs]),
        default=for_people[0],
        show_default=True,
        help="How to show it." + (" json: one object a line." if lines else ""),
    )


output_option = outputs("table", "wide")
window_option = click.option(
    "-t", "--time-window", "window", default="1m", show_default=True, help="Such as 15s or 5m."
)
watch_option = click.option("-w", "--watch", is_flag=True, help="Refresh until Ctrl-C.")


def as_yaml(value: object) -> str:
    """YAML with keys in their own order."""
    import yaml

    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=False, width=120))


def told(value: object, output: str) -> bool:
    """Print a value in the form that programs asked for; False when it is for people."""
    import json

    if output == "json":
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    elif output == "yaml":
        click.echo(as_yaml(value).rstrip())
    return output in ("json", "yaml")


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
    """Show the problems of documents, for people on stderr or for programs on stdout, and end with 1."""
    import dataclasses

    if not told([dataclasses.asdict(problem) for problem in problems], output):
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
    import sys
    import threading

    if not watch:
        rows = read()
        if not told(rows, output):
            click.echo(table(*cells(rows, output == "wide")))
        return

    pause = threading.Event()
    try:
        while True:
            rows = read()
            if sys.stdout.isatty():
                click.clear()
            if not told(rows, output):
                click.echo(table(*cells(rows, output == "wide")))
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
