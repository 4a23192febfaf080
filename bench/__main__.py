"""`python -m bench`: choose scenarios, run them, print the table, write the records and the page."""

import sys
import tempfile
from pathlib import Path

from bench import command, machine, measure, page, report, scenario
from bench.errors import MeshError
from bench.mesh import Mesh
from bench.peers import available

_RUNS = 3


def main() -> int:
    """Run; the exit code."""
    parser = command.parser("bench", "CPU, latency and memory of the proxy and its peers.", _RUNS)
    parser.add_argument("--quick", action="store_true", help="one short repetition: a smoke test, not a measurement")
    arguments = parser.parse_args()
    scenarios = command.chosen(arguments.scenario)
    effort = scenario.Effort(1, 1.2, 3) if arguments.quick else scenario.Effort(arguments.runs, arguments.seconds)
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as directory:
        Path(directory).chmod(0o755)
        try:
            services = max((each.destinations for each in scenarios), default=0)
            with Mesh.start(Path(directory), services=services) as mesh:
                peers = available(mesh, Path(directory))
                described = machine.describe()
                records, failed = measure.run(scenarios, peers, mesh, effort)
        except MeshError as problem:
            sys.stderr.write(f"bench: {problem}\n")
            return 1
    report.show(described, records)
    report.write(report.RESULTS, described, records)
    print(f"\nwritten: {report.RESULTS}")
    page.publish(described, records)
    return 1 if "weft" in failed else 0


if __name__ == "__main__":
    sys.exit(main())
