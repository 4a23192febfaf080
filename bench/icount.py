"""`python -m bench.icount`: instructions per request of fixed paths through the proxy, held against a budget.

Counts what `crates/weft-proxy/src/icount.rs` runs, with callgrind: unlike a time it is the same on a busy machine, to
well under 0.1 %. A path that costs over 3 % more than its budget fails; the budget is changed on purpose only, by
`--update`.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUDGET = Path(__file__).parent / "icount.json"
PATHS = ("pair_http1", "pair_http2")
REQUESTS = 640
"""`COUNTED` in icount.rs."""

TOLERANCE = 0.03


def main() -> int:
    """Count, compare, print; the exit code is 1 when a path is over its budget."""
    parser = argparse.ArgumentParser(prog="bench.icount", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write what was counted as the new budget")
    arguments = parser.parse_args()
    program = build()
    counted = {path: count(program, path) for path in PATHS}
    if arguments.update:
        BUDGET.write_text(json.dumps(counted, indent=2) + "\n")
    budget = json.loads(BUDGET.read_text())
    over = [path for path in PATHS if counted[path] > budget[path] * (1 + TOLERANCE)]
    print(f"{'PATH':<12} {'INSTRUCTIONS':>12} {'BUDGET':>8} {'CHANGE':>8}")
    for path in PATHS:
        change = counted[path] / budget[path] - 1
        print(
            f"{path:<12} {counted[path]:>12} {budget[path]:>8} {change:>+8.1%}{'  over budget' if path in over else ''}"
        )
    return 1 if over else 0


def build() -> Path:
    """Build the proxy's tests as they are counted, and return the program."""
    command = [
        "cargo",
        "test",
        "--profile",
        "icount",
        "--locked",
        "--package",
        "weft-proxy",
        "--bin",
        "weft-proxy",
        "--no-run",
    ]
    said = subprocess.run(
        [*command, "--message-format", "json-render-diagnostics"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    programs = [json.loads(line).get("executable") for line in said.stdout.splitlines() if line.startswith("{")]
    return Path(next(program for program in reversed(programs) if program))


def count(program: Path, path: str) -> int:
    """Return the instructions that one request of the path takes, client, proxies and application together."""
    with tempfile.TemporaryDirectory(prefix="weft-icount-") as directory:
        said = subprocess.run(
            [
                "valgrind",
                "--tool=callgrind",
                f"--callgrind-out-file={directory}/out",
                "--collect-atstart=no",
                "--toggle-collect=*icount::measured*",
                str(program),
                f"icount::{path}",
                "--exact",
                "--test-threads=1",
            ],
            env={**os.environ, "RUST_BACKTRACE": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
    found = re.search(r"Collected : (\d+)", said.stderr)
    if said.returncode != 0 or not found or int(found[1]) == 0:
        raise SystemExit(f"icount: {path} could not be counted:\n{said.stdout}{said.stderr}")
    return round(int(found[1]) / REQUESTS)


if __name__ == "__main__":
    sys.exit(main())
