"""The processes of a mesh as the host's /proc shows them. Read-only."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")


def first_inside(outer: int) -> int:
    """The first process of the mesh that the host process `outer` runs. Raises LookupError when there is none."""
    own = _namespace(outer)
    waiting = [outer]
    while waiting:
        pid = waiting.pop(0)
        if _namespace(pid) not in {own, ""}:
            return pid
        with contextlib.suppress(OSError):
            waiting += map(int, (PROC / str(pid) / "task" / str(pid) / "children").read_text().split())
    raise LookupError(f"process {outer} runs no mesh")


def sharing(inside: int) -> dict[int, str]:
    """The processes in the same PID namespace: host id -> command line."""
    wanted = _namespace(inside)
    pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
    return {pid: command_line(pid) for pid in pids if _namespace(pid) == wanted}


def on_host(inner: int, among: Iterable[int]) -> int:
    """The host's id of the process that calls itself `inner`. Raises LookupError when it is gone."""
    for pid in among:
        if _inner_id(pid) == inner:
            return pid
    raise LookupError(f"no process {inner}")


def command_line(pid: int) -> str:
    """Its words, joined by spaces; empty when it is gone."""
    try:
        return (PROC / str(pid) / "cmdline").read_text(errors="replace").replace("\0", " ").strip()
    except OSError:
        return ""


def _inner_id(pid: int) -> int:
    """What the process calls itself; 0 when it is gone."""
    with contextlib.suppress(OSError, StopIteration):
        ids = next(line for line in (PROC / str(pid) / "status").read_text().splitlines() if "NSpid:" in line)
        return int(ids.split()[-1])
    return 0


def _namespace(pid: int) -> str:
    try:
        return str((PROC / str(pid) / "ns" / "pid").readlink())
    except OSError:
        return ""
