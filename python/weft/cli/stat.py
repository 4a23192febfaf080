"""`weft stat`: success, rate and latency of every workload."""

from __future__ import annotations

import click

from weft.cli._shared import (
    complete_workload,
    duration,
    fail,
    mesh_option,
    milliseconds,
    namespace_option_all,
    output_option,
    percentage,
    rate,
    show,
    watch_option,
    window_option,
)


@click.command()
@click.argument("names", nargs=-1, metavar="[WORKLOAD]...", shell_complete=complete_workload)
@click.option("--routes", is_flag=True, help="One row per route instead, as the clients saw it.")
@window_option
@watch_option
@output_option
@namespace_option_all
@mesh_option
def command(
    names: tuple[str, ...], routes: bool, window: str, watch: bool, output: str, namespace: str | None, mesh: str
) -> None:
    """Show success rate, requests per second and latency of workloads, measured at their own proxies."""
    from weft.lib.errors import WeftError
    from weft.local import client

    request = {"do": "routes" if routes else "stat", "window": duration(window)}

    def read() -> list[dict[str, object]]:
        rows = client.rows(mesh, request)
        key = "service" if routes else "name"
        return [
            row
            for row in rows
            if (not names or row[key] in names)
            and (row["namespace"] == namespace if namespace else row["namespace"] != OWN)
        ]

    try:
        show(read, _routes if routes else _workloads, output, watch)
    except WeftError as problem:
        fail(problem)


def _workloads(rows: list[dict[str, object]], wide: bool) -> tuple[list[str], list[list[str]]]:
    several = len({row["namespace"] for row in rows}) > 1
    titles = ["NAME", "MESHED", "SUCCESS", "RPS", "LATENCY_P50", "LATENCY_P95", "LATENCY_P99", "TCP_CONN"]
    cells = [
        [
            str(row["name"]),
            str(row["meshed"]),
            *_measured(row),
            "-" if row["tcp_connections"] is None else str(row["tcp_connections"]),
        ]
        for row in rows
    ]
    if wide:
        titles += ["READ_BYTES/SEC", "WRITE_BYTES/SEC"]
        for line, row in zip(cells, rows, strict=True):
            line += [_bytes(row["read_bytes_per_second"]), _bytes(row["write_bytes_per_second"])]
    if several or wide:
        titles.insert(0, "NAMESPACE")
        cells = [[str(row["namespace"]), *line] for row, line in zip(rows, cells, strict=True)]
    return titles, cells


def _routes(rows: list[dict[str, object]], wide: bool) -> tuple[list[str], list[list[str]]]:
    titles = ["SERVICE", "ROUTE", "TYPE", "SUCCESS", "RPS", "LATENCY_P50", "LATENCY_P95", "LATENCY_P99"]
    cells = [[str(row["service"]), str(row["route"]) or "-", str(row["kind"]), *_measured(row)] for row in rows]
    if wide:
        titles.insert(0, "NAMESPACE")
        cells = [[str(row["namespace"]), *line] for row, line in zip(rows, cells, strict=True)]
    return titles, cells


def _measured(row: dict[str, object]) -> list[str]:
    latencies = [milliseconds(row[f"latency_{rank}_ms"]) for rank in ("p50", "p95", "p99")]
    return [percentage(row["success"]), rate(row["rps"]), *latencies]


OWN = "weft"
"""The control plane's namespace is shown when asked for."""


def _bytes(value: object) -> str:
    return f"{value:.1f}B/s" if isinstance(value, float) else "-"
