"""Local mode at size and under murder: a hundred replicas, and two hundred kills. Says what it measured."""

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from weft.local.state import start_time
from weft.testing import Mesh, wait_until
from weft.testing.processes import first_inside

pytestmark = pytest.mark.soak
WORKLOAD = """\
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {{name: {name}}}
spec:
  command: [sleep, infinity]
  replicas: 2
  ports: [{{name: http, port: 8080}}]
"""
KILLS = 200


def test_fifty_workloads_of_two_replicas() -> None:
    """Requirement: they all become ready and end together; time and memory beside the applications are told."""
    text = "---\n".join(WORKLOAD.format(name=f"w{number}") for number in range(50))
    began = time.monotonic()
    with Mesh(text, name="fifty") as mesh:
        took = time.monotonic() - began
        assert len(mesh.replicas()) == 101  # with the control plane
        own = {pid: words for pid, words in mesh.processes().items() if "sleep infinity" not in words}
        memory = {pid: proportional(pid) for pid in own}
        proxies = sum(memory[pid] for pid, words in own.items() if "weft-proxy" in words)
        total = sum(memory.values())
        print(
            f"100 replicas ready after {took:.1f} s; {total:.0f} MiB beside the applications, {proxies:.0f} of proxies"
        )
        before = cpu(mesh)
        time_span = 10.0
        end = time.monotonic() + time_span
        wait_until(lambda: time.monotonic() > end, "ten seconds at rest are over")
        print(f"at rest the supervisor uses {(cpu(mesh) - before) / time_span:.1%} of a core")
        began = time.monotonic()
    print(f"ended after {time.monotonic() - began:.1f} s")


def test_whatever_is_killed_nothing_is_left() -> None:
    """Requirement: after TERM or KILL of any process the mesh heals, or is gone with all processes, namespaces and
    mounts; the next command removes its files.
    """
    chance = random.Random(20261124)
    text = WORKLOAD.format(name="a") + "---\n" + WORKLOAD.format(name="b")
    killed: dict[str, int] = {}
    mesh = Mesh(text, name="kills")
    mounts = Path("/proc/self/mountinfo").read_text()
    mesh.start()
    try:
        for _ in range(KILLS):
            what = chance.choice(
                ("application", "proxy", "application", "proxy", "control plane", "supervisor", "outer")
            )
            number = chance.choice((signal.SIGTERM, signal.SIGKILL))
            killed[what] = killed.get(what, 0) + 1
            if what in ("supervisor", "outer"):
                end_and_look(mesh, what, number, mounts)
                mesh.start()
            else:
                row = mesh.replicas()[chance.choice(("a-0", "a-1", "b-0", "b-1"))]
                inner = {
                    "application": row["pid"],
                    "proxy": row["proxy_pid"],
                    "control plane": mesh.replicas()["weft-control-plane-0"]["pid"],
                }[what]
                with contextlib.suppress(LookupError, ProcessLookupError, TypeError):  # still on its way up
                    mesh.signal(int(inner), number)
    finally:
        mesh.stop()
    print(", ".join(f"{count} times {what}" for what, count in sorted(killed.items())))


def end_and_look(mesh: Mesh, what: str, number: int, mounts: str) -> None:
    """Kill the mesh as a whole; what made it up must be gone, and `weft ps` removes its files."""
    assert mesh.supervisor is not None
    networks = {network(pid) for pid in mesh.processes()} - {network(os.getpid()), ""}
    assert networks
    os.kill(mesh.supervisor.pid if what == "outer" else first_inside(mesh.supervisor.pid), number)
    mesh.supervisor.wait(60)
    # The kernel gives the numbers of namespaces out again, to meshes of others too: only what is older counts.
    ticks = time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")
    wait_until(
        lambda: not [pid for pid in everyone() if network(pid) in networks and started(pid) <= ticks], "all gone"
    )
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert mesh.run("ps").returncode == 1
    assert not Path(f"/run/weft/{mesh.name}").exists()


def everyone() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def started(pid: int) -> float:
    return float(start_time(pid) or "inf")


def network(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return ""


def proportional(pid: int) -> float:
    """MiB of memory, shared pages divided among those who share them."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024
    return 0.0


def cpu(mesh: Mesh) -> float:
    """Seconds of CPU time that the supervisor has used."""
    assert mesh.supervisor is not None
    fields = Path(f"/proc/{first_inside(mesh.supervisor.pid)}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
