"""`python -m bench`: choose scenarios, run them, print the table, write the records."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from bench import machine, measure, report, scenario
from bench.mesh import Mesh, MeshError
from bench.peers import available

RESULTS = Path(__file__).parent / "results" / "latest.json"

_PRIORITY = -10
"""Of everything the bench starts, for every peer alike: what else runs on the machine disturbs less."""


def main() -> int:
    """Run; the exit code."""
    parser = argparse.ArgumentParser(prog="bench", description="CPU, latency and memory of the proxy and its peers.")
    parser.add_argument("--scenario", action="append", default=[], help="only this one (may be repeated)")
    parser.add_argument("--quick", action="store_true", help="one short repetition: a smoke test, not a measurement")
    parser.add_argument("--runs", type=int, default=3, help="repetitions (default 3)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one window (default 3)")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.stderr.write("bench: must run as root: it enters network namespaces and pins other processes\n")
        return 2
    scenarios = scenario.load(arguments.scenario)
    if isinstance(scenarios, str):
        sys.stderr.write(f"bench: {scenarios}\n")
        return 2
    effort = scenario.Effort(1, 1.2) if arguments.quick else scenario.Effort(arguments.runs, arguments.seconds)
    os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as directory:
        Path(directory).chmod(0o755)
        try:
            with Mesh.start(Path(directory)) as mesh:
                peers = available(mesh, Path(directory))
                described = machine.describe()
                records = measure.run(scenarios, peers, mesh, effort)
        except MeshError as problem:
            sys.stderr.write(f"bench: {problem}\n")
            return 1
    report.show(described, records)
    report.write(RESULTS, described, records)
    print(f"\nwritten: {RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
