"""The load generator: h2load's command line and what it says. Pure.

h2load is a closed loop: at saturation its latencies are queueing times, comparable between peers within one run only.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.figures import percentile
from bench.scenario import Scenario

_COUNTS = re.compile(r"^requests: \d+ total, \d+ started, (\d+) done, .* (\d+) errored", re.M)
_RATE = re.compile(r"^finished in [\d.]+\w+, ([\d.]+) req/s", re.M)
_CODES = re.compile(r"^status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", re.M)


@dataclass(frozen=True, slots=True)
class Said:
    """What one window brought.

    `failed` counts errors and answers that are not 2xx. h2load cannot read a status line without a reason phrase, which
    is what HAProxy makes of an HTTP/2 answer, so its own count of successes is of no use.
    """

    requests: int
    failed: int
    per_second: float


def command(what: Scenario, url: str, seconds: float, payload: Path, log: Path | None) -> list[str]:
    """One window of this scenario. `log` gets one line for each request."""
    words = ["h2load", "-t1", f"-c{what.connections}", f"-D{round(seconds * 1000)}ms"]
    if log is not None:
        words.append(f"--log-file={log}")
    if what.route != "grpc":
        return [*words, "--h1", url]
    headers = ("-H", "content-type: application/grpc", "-H", "te: trailers")
    return [*words, f"-m{what.streams}", f"--data={payload}", *headers, url]


def parse(text: str) -> Said:
    """Read the summary. Raises ValueError when there is none."""
    counts, rate, codes = _COUNTS.search(text), _RATE.search(text), _CODES.search(text)
    if counts is None or rate is None or codes is None:
        raise ValueError(f"h2load printed no summary: {text.strip()[-400:]}")
    done, errored = (int(group) for group in counts.groups())
    return Said(done, errored + sum(int(group) for group in codes.groups()), float(rate.group(1)))


def latencies(lines: Iterable[str]) -> tuple[float, float]:
    """p50 and p99 in milliseconds from the log's lines: start (us), status, duration (us)."""
    taken = sorted(int(line.rsplit("\t", 1)[1]) / 1000 for line in lines if line.count("\t") == 2)
    return percentile(taken, 0.50), percentile(taken, 0.99)
