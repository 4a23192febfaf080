"""One run of a load generator: what it printed, and what the proxies used meanwhile.

CPU is the processes' own utime + stime over the run, memory their resident size after it.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench import processes, waiting
from bench.peers import Peer

_WARM_UPS = 8
_GOOD = 2


class RequestsFailed(Exception):
    """A window in which not every request was answered well gives no figures."""


@dataclass(frozen=True, slots=True)
class Window:
    """What was printed, and the CPU time of all named processes."""

    printed: str
    cpu_us: float


def measured(peer: Peer, pids: Sequence[int], command: Sequence[str]) -> Window:
    """Run the generator where the peer's clients are."""
    before = [processes.cpu_us(pid) for pid in pids]
    printed = generate(peer, command)
    after = [processes.cpu_us(pid) for pid in pids]
    return Window(printed, sum(after) - sum(before))


def generate(peer: Peer, command: Sequence[str]) -> str:
    """Run the generator to its end; what it printed, also when it failed."""
    process = processes.spawn(command, peer.network, {processes.LOAD_CORE}, subprocess.PIPE)
    try:
        printed, _ = process.communicate(timeout=waiting.PATIENCE)
    except subprocess.TimeoutExpired as problem:
        processes.stop(process)
        raise RequestsFailed(f"the load generator did not end: {' '.join(command)}") from problem
    return printed.decode(errors="replace")


def warm_up(once: Callable[[], bool]) -> None:
    """Until everything is connected and stays so: two good runs in a row.

    HAProxy answers a burst of first requests with a TLS handshake for each, and the next burst, after those clients
    left in the middle of requests, with some failures.
    """
    good = 0
    for _ in range(_WARM_UPS):
        good = good + 1 if once() else 0
        if good == _GOOD:
            return


def rss_mb(pids: Sequence[int]) -> float:
    """Memory per proxy."""
    return sum(processes.rss_mb(pid) for pid in pids) / len(pids)


def say(text: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"bench: {text}\n")
