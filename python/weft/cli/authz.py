"""`weft authz`: which documents let somebody reach a workload, and what came in by each."""

from __future__ import annotations

import click

from weft.cli._shared import (
    complete_workload,
    duration,
    fail,
    mesh_option,
    milliseconds,
    namespace_option,
    output_option,
    percentage,
    rate,
    show,
    watch_option,
    window_option,
)


@click.command()
@click.argument("resource", metavar="WORKLOAD", shell_complete=complete_workload)
@window_option
@watch_option
@output_option
@namespace_option
@mesh_option
def command(resource: str, window: str, watch: bool, output: str, namespace: str, mesh: str) -> None:
    """Show the grants on the Servers and routes of a workload or replica, and the HTTP requests that came in by each.

    A route `*` is every route. UNAUTHORIZED are requests and connections that were refused, which belong to no grant.
    """
    from weft.lib.errors import WeftError
    from weft.local import client, policy
    from weft.viz import authz

    seconds = duration(window)

    def read() -> list[dict[str, object]]:
        snapshot = policy.snapshot(mesh)
        grants = policy.authorizations(snapshot, resource, namespace)
        replicas = policy.replicas(snapshot, resource, namespace)
        return authz.joined(grants, client.rows(mesh, {"do": "authz", "window": seconds, "replicas": replicas}))

    try:
        show(read, _cells, output, watch)
    except WeftError as problem:
        fail(problem)


def _cells(rows: list[dict[str, object]], wide: bool) -> tuple[list[str], list[list[str]]]:
    # What a Server lets in by its own accessPolicy is shown where anything came in by it.
    shown = [row for row in rows if wide or not row["default"] or row["rps"]]
    columns = ["route", "server", "authorization_policy", "server_authorization"]
    if any(row["default"] for row in shown):
        columns.append("default")
    titles = [column.upper() for column in columns]
    titles += ["UNAUTHORIZED", "SUCCESS", "RPS", "LATENCY_P50", "LATENCY_P95", "LATENCY_P99"]
    return titles, [[*(str(row[column]) or "-" for column in columns), *_measured(row)] for row in shown]


def _measured(row: dict[str, object]) -> list[str]:
    latencies = [milliseconds(row[f"latency_{rank}_ms"]) for rank in ("p50", "p95", "p99")]
    return [rate(row["unauthorized_rps"]), percentage(row["success"]), rate(row["rps"]), *latencies]
