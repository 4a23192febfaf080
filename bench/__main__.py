"""`python -m bench`: choose scenarios, run them, print the table, write the records and the page."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import command, machine, measure, page, report, scenario
from bench.errors import MeshError
from bench.figures import Record
from bench.goals import OURS
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
    described = machine.describe()
    records: list[Record] = []
    failed: set[str] = set()
    # A thousand Services keep their mesh busy: who asks for them has a mesh apart.
    for of_many in (False, True):
        try:
            found, without = _measured([each for each in scenarios if bool(each.destinations) is of_many], effort)
        except MeshError as problem:
            # Half an hour of figures is not lost with a mesh that does not start.
            sys.stderr.write(f"bench: {problem}\n")
            found, without = [], {OURS}
        records += found
        failed |= without
    if not records:
        return 1
    report.show(described, records)
    report.write(report.RESULTS, described, records)
    print(f"\nwritten: {report.RESULTS}")
    page.publish(described, records)
    return 1 if OURS in failed else 0


def _measured(scenarios: Sequence[scenario.Scenario], effort: scenario.Effort) -> tuple[list[Record], set[str]]:
    """The records of scenarios that share a mesh, and the peers of which a window failed."""
    if not scenarios:
        return [], set()
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with Mesh.start(directory, services=max(each.destinations for each in scenarios)) as mesh:
            return measure.run(scenarios, available(mesh, directory), mesh, effort)


if __name__ == "__main__":
    sys.exit(main())
