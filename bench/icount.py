"""`python -m bench.icount`: what one request costs on fixed paths through the proxy, held against a budget.

Counts what `crates/weft-proxy/src/icount.rs` runs, with callgrind: instructions without crypto, and system calls.
Unlike a time they are the same on a busy machine, to 0.1 % and 0.3 %. valgrind shows x86-64 processors with AVX2 to the
program as one and the same, so that routines chosen by the processor should not differ between them. A path that costs
over 3 % more than its budget fails; the budget is changed on purpose only, by `--update`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from bench import callgrind
from bench.callgrind import Counts

ROOT = Path(__file__).parents[1]
BUDGET = Path(__file__).parent / "icount.json"
PATHS = ("pair_http1", "pair_http2")
REQUESTS = 640
"""`COUNTED` in icount.rs."""

TOLERANCE = 0.03

_BUILD = "cargo test --profile icount --locked --package weft-proxy --bin weft-proxy --no-run"

FLAGS = ("RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS")
"""Of the environment, which would build another program than the one that the budget is for."""


class NotCounted(Exception):
    """Why a path could not be counted or compared."""


def main() -> int:
    """Count, compare, print; the exit code is 1 when a path is over its budget."""
    parser = argparse.ArgumentParser(prog="bench.icount", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write what was counted as the new budget")
    parser.add_argument("--build", action="store_true", help="only build what is counted")
    arguments = parser.parse_args()
    try:
        program = build()
        if arguments.build:
            return 0
        counted = {path: count(program, path) for path in PATHS}
        if arguments.update:
            write(BUDGET, counted)
        budget = read(BUDGET)
    except NotCounted as problem:
        sys.stderr.write(f"icount: {problem}\n")
        return 1
    print(f"{'PATH':<12} {'WHAT':<12} {'COUNTED':>10} {'BUDGET':>10} {'CHANGE':>8}")
    for path in PATHS:
        for what, (found, allowed) in both(counted[path], budget[path]).items():
            said = "  over budget" if what in over(counted[path], budget[path]) else ""
            print(f"{path:<12} {what:<12} {found:>10} {allowed:>10} {found / allowed - 1:>+8.1%}{said}")
    return 1 if any(over(counted[path], budget[path]) for path in PATHS) else 0


def build() -> Path:
    """Build the proxy's tests as they are counted, and return the program."""
    said = subprocess.run(
        [*_BUILD.split(), "--message-format", "json-render-diagnostics"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in FLAGS},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if said.returncode != 0:
        raise NotCounted("the proxy's tests could not be built")
    programs = [json.loads(line).get("executable") for line in said.stdout.splitlines() if line.startswith("{")]
    return Path(next(program for program in reversed(programs) if program))


def count(program: Path, path: str) -> Counts:
    """What one request of the path takes, client, proxies and application together."""
    with tempfile.TemporaryDirectory(prefix="weft-icount-") as directory:
        profile = Path(directory) / "out"
        said = subprocess.run(
            [
                "valgrind",
                "--tool=callgrind",
                f"--callgrind-out-file={profile}",
                "--collect-systime=usec",
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
        if said.returncode != 0 or not profile.exists():
            raise NotCounted(f"{path} could not be counted:\n{said.stdout}{said.stderr}")
        with profile.open(encoding="utf-8") as lines:
            counted = callgrind.counts(lines).of_each(REQUESTS)
    if not counted.instructions or not counted.system_calls:
        raise NotCounted(f"nothing of {path} was counted: has icount.rs another name for what is measured?")
    return counted


def both(counted: Counts, budget: Counts) -> dict[str, tuple[float, float]]:
    """By the name of the figure: what was counted and what is allowed."""
    return {what: (found, asdict(budget)[what]) for what, found in asdict(counted).items()}


def over(counted: Counts, budget: Counts) -> list[str]:
    """The figures that are over their budget by more than the tolerance."""
    return [what for what, (found, allowed) in both(counted, budget).items() if found > allowed * (1 + TOLERANCE)]


def write(file: Path, counted: Mapping[str, Counts]) -> None:
    """Set the budget, with what it was counted by."""
    written = {"counted_by": counted_by(), **{path: asdict(each) for path, each in counted.items()}}
    file.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


def read(file: Path) -> dict[str, Counts]:
    """The budget of each path. Counts of another compiler or kind of processor do not compare: raises NotCounted."""
    budget = json.loads(file.read_text(encoding="utf-8"))
    by, here = budget.pop("counted_by"), counted_by()
    if by != here:
        raise NotCounted(f"the budget is for {by}, here is {here}: set it anew with make bench-icount UPDATE=1")
    return {path: Counts(**each) for path, each in budget.items()}


def counted_by() -> dict[str, str]:
    """What makes another count of the same code."""
    said = subprocess.run(["rustc", "--version"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {"rustc": said.stdout.split()[1], "architecture": platform.machine()}


if __name__ == "__main__":
    sys.exit(main())
