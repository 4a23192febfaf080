"""Other processes as /proc shows them: CPU time, memory, environment, processor; and starting one in a namespace."""

import os
import re
import resource
import subprocess
from collections.abc import Sequence, Set
from contextlib import suppress
from pathlib import Path
from typing import IO

from weft.local import namespaces

_TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")

PROXY_CORE = 1
LOAD_CORE = 0
_OPEN_FILES = 65536


def raise_limits() -> None:
    """Let whatever is started from here on open enough files for 10,000 connections, where the kernel allows that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < _OPEN_FILES:
        with suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, _OPEN_FILES))


def connections() -> int:
    """How many connections any of the proxies can carry with the files that it may open: each may take two."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 2 - _OTHER_FILES


_OTHER_FILES = 600


def cpu_us(pid: int) -> float:
    """User and system time of all its threads so far, in microseconds."""
    return parse_stat(Path(f"/proc/{pid}/stat").read_text()) * _TICK_US


def parse_stat(text: str) -> int:
    """utime + stime in ticks. The name in brackets may hold blanks and brackets."""
    fields = text.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def rss_mb(pid: int) -> float:
    """Resident memory in MB (10^6 bytes)."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found.group(1)) * 1024 / 1e6 if found else 0.0


def pin(pid: int, cores: Set[int]) -> None:
    """Keep every thread of a process on these cores."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def proxy_cores(everywhere: bool) -> set[int]:
    """Where measured proxies may run."""
    return set(range(os.cpu_count() or 1)) if everywhere else {PROXY_CORE}


def environment(pid: int) -> dict[str, str]:
    """The variables that it was started with; empty when it is gone."""
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    return {name: value for name, _, value in (entry.decode(errors="replace").partition("=") for entry in entries)}


def program(pid: int) -> str:
    """The file name of what it executes; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return ""


def all_pids() -> list[int]:
    """Every process at this moment."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def spawn(
    command: Sequence[str],
    network: int,
    cores: Set[int],
    log: IO[bytes] | int,
    variables: dict[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a program in a network namespace on these cores, with no wrapper between that would count as its start."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        with namespaces.inside(network):
            return subprocess.Popen(command, stdin=stdin, stdout=log, stderr=subprocess.STDOUT, env=variables)
    finally:
        os.sched_setaffinity(0, before)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program that `spawn` started."""
    process.kill()
    process.wait()
