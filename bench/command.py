"""What the bench's commands share: the options that choose scenarios, and what must hold before they are run."""

import argparse
import os
import sys
from collections.abc import Sequence

from bench import processes, scenario

PRIORITY = -10
"""Of everything the bench starts, for every peer alike: what else runs on the machine disturbs less."""


def parser(prog: str, description: str, runs: int) -> argparse.ArgumentParser:
    """A command's options; `runs` is the default number of repetitions."""
    options = argparse.ArgumentParser(prog=prog, description=description)
    options.add_argument("--scenario", action="append", default=[], help="only this one (may be repeated)")
    options.add_argument("--runs", type=int, default=runs, help=f"repetitions (default {runs})")
    options.add_argument("--seconds", type=float, default=3.0, help="length of one window (default 3)")
    return options


def chosen(names: Sequence[str]) -> list[scenario.Scenario]:
    """The scenarios to run, at the bench's own priority from here on. Ends the program with 2 when that cannot be."""
    if os.geteuid() != 0:
        sys.stderr.write("bench: must run as root: it enters network namespaces and pins other processes\n")
        sys.exit(2)
    scenarios = scenario.load(names)
    if isinstance(scenarios, str):
        sys.stderr.write(f"bench: {scenarios}\n")
        sys.exit(2)
    os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    processes.raise_limits()
    return scenarios
