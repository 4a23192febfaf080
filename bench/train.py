"""`python -m bench.train --proxy PROXY`: lets a proxy that takes a profile of itself serve the requests of the bench.

Runs the scenarios of saturation, one after the other, and ends the proxies in order, as they write their profiles when
they end. Measures nothing: such a proxy is slow.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from bench import loads, scenario, window
from bench.errors import MeshError
from bench.mesh import Mesh
from bench.peers import Weft

SCENARIOS = ("pair-http1-64", "pair-grpc")
_EFFORT = scenario.Effort(1, 8.0)


def main() -> int:
    """Run; the exit code."""
    parser = argparse.ArgumentParser(prog="bench.train", description=__doc__)
    parser.add_argument("--proxy", type=Path, required=True, help="the proxy that takes its profile")
    arguments = parser.parse_args()
    chosen = scenario.load(SCENARIOS)
    if isinstance(chosen, str):
        raise ValueError(chosen)
    with tempfile.TemporaryDirectory(prefix="weft-train-") as directory:
        Path(directory).chmod(0o755)
        try:
            with Mesh.start(Path(directory), "train", arguments.proxy.resolve()) as mesh:
                for each in chosen:
                    window.say(f"training with {each.name}")
                    loads.saturation(each, Weft(mesh), mesh, _EFFORT)
        except (MeshError, window.RequestsFailed, TimeoutError) as problem:
            sys.stderr.write(f"bench: {problem}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
