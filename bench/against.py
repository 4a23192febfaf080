"""`python -m bench.against --other PROXY`: our proxy beside another build of it, interleaved; which costs more?

Two meshes that differ in nothing but the proxy's binary run side by side; each repetition asks both, in turning order.
Says "worse" only where the whole confidence interval lies above the tolerance; then the exit code is 1.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import command, measure, scenario, window
from bench.comparison import TOLERANCE, Comparison, compare
from bench.errors import MeshError
from bench.mesh import Mesh
from bench.peers import Weft

COST = {"saturation": "cpu_us_per_request", "bulk": "cpu_s_per_gb"}
"""What is compared, by the kind of the scenario."""
_LEAST_RUNS = 10


def main() -> int:
    """Run; the exit code."""
    parser = command.parser(
        "bench.against", "CPU per request, or per byte of large bodies, of two builds of the proxy.", _LEAST_RUNS
    )
    parser.add_argument("--ours", type=Path, required=True, help="the proxy to judge")
    parser.add_argument("--other", type=Path, required=True, help="the proxy to compare with")
    parser.add_argument("--name", default="other", help="what to call it")
    arguments = parser.parse_args()
    scenarios = command.chosen(arguments.scenario)
    effort = scenario.Effort(max(_LEAST_RUNS, arguments.runs), arguments.seconds)
    try:
        found = _measure([each for each in scenarios if _is_compared(each)], arguments, effort)
    except (MeshError, window.RequestsFailed, TimeoutError) as problem:
        sys.stderr.write(f"bench: {problem}\n")
        return 1
    for line in lines(found, arguments.name):
        print(line)
    return 1 if any(each.verdict == "worse" for each in found.values()) else 0


def lines(found: dict[str, Comparison], name: str) -> Sequence[str]:
    """A table: one line for each scenario."""
    head = f"CPU, ours / {name}; worse only when all of the 95 % interval is above {TOLERANCE:g}"
    rows = [
        f"  {scenario:<16} {each.ratio:.3f}  [{each.low:.3f}, {each.high:.3f}]  {each.verdict}"
        for scenario, each in found.items()
    ]
    return [head, *rows]


def _is_compared(asked: scenario.Scenario) -> bool:
    return asked.kind in COST and asked.tuning == scenario.DEFAULT


def _measure(
    scenarios: Sequence[scenario.Scenario], arguments: argparse.Namespace, effort: scenario.Effort
) -> dict[str, Comparison]:
    with ExitStack() as stack:
        ours, theirs = (_peer(stack, label, getattr(arguments, label)) for label in ("ours", "other"))
        return {each.name: _compare(each, ours, theirs, effort) for each in scenarios}


def _peer(stack: ExitStack, label: str, proxy: Path) -> Weft:
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"weft-bench-{label}-")))
    directory.chmod(0o755)
    return Weft(stack.enter_context(Mesh.start(directory, label, proxy.resolve())), label)


def _compare(asked: scenario.Scenario, ours: Weft, theirs: Weft, effort: scenario.Effort) -> Comparison:
    costs: dict[str, list[float]] = {ours.name: [], theirs.name: []}
    for number in range(effort.runs):
        window.say(f"{asked.name}: run {number + 1} of {effort.runs}")
        # Whoever is asked second finds a warmer machine: they take turns.
        for peer in (ours, theirs) if number % 2 == 0 else (theirs, ours):
            costs[peer.name].append(_cost(asked, peer, effort))
    return compare(costs[ours.name], costs[theirs.name])


def _cost(asked: scenario.Scenario, peer: Weft, effort: scenario.Effort) -> float:
    return measure.ask(asked, peer, peer.mesh, effort)[COST[asked.kind]]


if __name__ == "__main__":
    sys.exit(main())
