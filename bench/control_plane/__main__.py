"""`python -m bench.control_plane`: a mesh of many Services, a crowd of streams, and what each change costs."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.command import PRIORITY
from bench.control_plane import streams
from bench.control_plane.changes import changes, mesh
from bench.control_plane.measure import Bench, Figures, Silent
from bench.control_plane.processes import ControlPlane, Crowd
from bench.report import number

IDLE_SECONDS = 5.0


def main() -> int:
    """Run; the exit code."""
    parser = argparse.ArgumentParser("bench.control_plane", description="Memory, CPU and latency of the control plane.")
    parser.add_argument("--services", type=int, default=1000, help="Services in the mesh (default 1000)")
    parser.add_argument("--replicas", type=int, default=3, help="pods of each (default 3)")
    parser.add_argument("--streams", type=int, default=1000, help="open streams (default 1000)")
    parser.add_argument(
        "--together", type=int, default=5, help="streams of one proxy (default 5, over two connections)"
    )
    parser.add_argument(
        "--changes", type=int, default=100, help="how often each change is made, an even number (default 100)"
    )
    parser.add_argument("--only", action="append", default=[], help="one change by name, or burst, stalled, restart")
    arguments = parser.parse_args()
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as directory:
        plane = ControlPlane(Path(directory))
        try:
            _show(_run(plane, arguments))
        except (Silent, TimeoutError, RuntimeError) as problem:
            sys.stderr.write(f"bench: {problem}\n")
            return 1
        finally:
            plane.stop()
    return 0


def _run(plane: ControlPlane, arguments: argparse.Namespace) -> dict[str, Figures]:
    files = mesh(arguments.services, arguments.replicas)
    for name, text in files.items():
        (plane.objects / name).write_text(text)
    found: dict[str, Figures] = {}
    ready = plane.start()
    found["start"] = {"ready_s": ready, "rss_mb": plane.rss_mb(), "cpu_ms": plane.cpu_ms()}
    asked = streams.crowd(arguments.streams, arguments.together, plane.destination, plane.policy)
    since = time.monotonic_ns()
    crowd = Crowd(arguments.streams, arguments.together, plane)
    try:
        bench = Bench(plane, crowd, asked, files, arguments.replicas)
        served = bench.served(since)
        connections = len({each.connection for each in asked})
        found["crowd"] = {
            "streams": len(asked),
            "connections": connections,
            "served_s": served,
            "rss_mb": plane.rss_mb(),
            "idle_cpu_ms_per_s": bench.idle(IDLE_SECONDS),
        }
        every = changes(arguments.replicas)
        wanted = arguments.only or [*every, "burst", "stalled", "restart"]
        for name in wanted:
            if name in every:
                found[name] = bench.one_by_one(every[name], 2 * -(-arguments.changes // 2))
        found["crowd"]["rss_mb_after_changes"] = plane.rss_mb()
        if "burst" in wanted:
            found["burst"] = bench.burst(min(1000, arguments.services))
        if "stalled" in wanted:
            found["stalled"] = bench.stalled(every["namespace"], max(2, connections // 10), 2 * arguments.changes)
        if "restart" in wanted:
            found["restart"] = bench.restart()
    finally:
        crowd.stop()
    return found


def _show(found: dict[str, Figures]) -> None:
    table = Table("measurement", "figure", "value")
    for name, figures in found.items():
        for place, (figure, value) in enumerate(figures.items()):
            table.add_row(name if place == 0 else "", figure, number(value), end_section=place == len(figures) - 1)
    Console(width=90).print(table)


if __name__ == "__main__":
    sys.exit(main())
