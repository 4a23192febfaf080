"""Shows the records: a table in the terminal, with ratios to Envoy's and HAProxy's figures; keeps the results file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from bench.figures import Record

RESULTS = Path(__file__).parent / "results" / "latest.json"

_WIDTH = 104
"""Of the table, whatever the terminal's: what is printed is also kept in files."""


def write(path: Path, described: Mapping[str, object], records: Sequence[Record]) -> None:
    """A JSON list: what was measured on, then one record for each scenario, peer and metric."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(each) for each in (described, *(asdict(record) for record in records))]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def read(path: Path) -> tuple[Mapping[str, object], list[Record]]:
    """What `write` wrote."""
    described, *records = json.loads(path.read_text(encoding="utf-8"))
    return described, [Record(**record) for record in records]


def show(described: Mapping[str, object], records: Sequence[Record], console: Console | None = None) -> None:
    """Print everything."""
    out = console or Console(width=_WIDTH)
    for title, value in described.items():
        pairs = value.items() if isinstance(value, Mapping) else ()
        out.print(f"[bold]{title}[/bold]  " + ", ".join(f"{name} {each}" for name, each in pairs if each != ""))
    for scenario in dict.fromkeys(record.scenario for record in records):
        of_scenario = [record for record in records if record.scenario == scenario]
        table = Table(title=scenario, title_justify="left", title_style="bold")
        for heading in ("metric", "unit", "peer", "median", "low - high", "/ envoy", "/ haproxy"):
            justify: Literal["left", "right"] = "left" if heading in ("metric", "unit", "peer") else "right"
            table.add_column(heading, justify=justify, no_wrap=True)
        for metric in dict.fromkeys(record.metric for record in of_scenario):
            rows = [record for record in of_scenario if record.metric == metric]
            for first, record in enumerate(rows):
                table.add_row(
                    metric if first == 0 else "",
                    record.unit if first == 0 else "",
                    record.peer,
                    number(record.median),
                    f"{number(record.low)} - {number(record.high)}",
                    ratio(record, rows, "envoy"),
                    ratio(record, rows, "haproxy"),
                    style="bold" if record.peer == "weft" else "",
                    end_section=record is rows[-1],
                )
        out.print(table)


def number(value: float) -> str:
    """Three figures that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(record: Record, rows: Sequence[Record], peer: str) -> str:
    """This median over the peer's; empty without that peer or for the peer itself."""
    other = next((row.median for row in rows if row.peer == peer and row is not record), 0.0)
    return f"{record.median / other:.2f}" if other else ""
