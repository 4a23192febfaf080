"""What `weft check` asks of this machine, of mesh files and of the replicas of a running mesh: named questions.

To add one, append a `Check` to `CHECKS`. A question raises `Failed` or `Warned`, or returns in a few words what it
found.
Asks only: nothing is changed, and what it starts has ended when it returns.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from weft.lib.errors import WeftError
from weft.local import client, host, reading, state, uplink
from weft.local.checks import Finding, Outcome
from weft.local.control import find_proxy
from weft.local.documents import Documents
from weft.local.programs import find_program
from weft.model import Workload


class Failed(WeftError):
    """The mesh cannot run, or not well, until somebody does something."""


class Warned(WeftError):
    """Something will be wrong later, or only for some."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the checks are about: always this machine, and what was named."""

    mesh: str
    documents: Documents | None
    """Of the mesh files that were named."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question. Those of the section `mesh` are asked only while the mesh runs, of `files` only with files."""

    section: str
    name: str
    ask: Callable[[Asked], str]


def findings(mesh: str, files: Sequence[Path]) -> list[Finding]:
    """Every question that can be asked, in order; also those after one that failed."""
    documents = reading.read(files) if files else None
    found = []
    if isinstance(documents, list):
        for problem in documents:
            place = f"{problem.file}:{problem.line}: {problem.reason}"
            found.append(Finding("files", "documents are valid", Outcome.FAILED, place, problem.hint))
        documents = None
    asked = Asked(mesh, documents)
    runs = state.find(mesh).alive()
    for check in CHECKS:
        if (check.section == "mesh" and not runs) or (check.section == "files" and documents is None):
            continue
        try:
            outcome, detail, hint = Outcome.OK, check.ask(asked), ""
        except Warned as warned:
            outcome, detail, hint = Outcome.WARNING, warned.reason, warned.hint
        except (WeftError, OSError) as failed:
            outcome, detail, hint = Outcome.FAILED, str(failed), getattr(failed, "hint", "")
        found.append(Finding(check.section, check.name, outcome, detail, hint))
    return found


def _programs(_: Asked) -> str:
    missing = {package for program, package in _PROGRAMS.items() if find_program(program) is None}
    if missing:
        raise Failed(
            f"missing: {', '.join(name for name, package in _PROGRAMS.items() if package in missing)}",
            f"apt-get install {' '.join(sorted(missing))} (or your distribution's packages of that name)",
        )
    return ", ".join(_PROGRAMS)


def _proxy(_: Asked) -> str:
    program = find_proxy()
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
    if said.returncode != 0:
        raise Failed(f"{program} does not run: {said.stderr.strip()}", "install the wheel for this kind of machine")
    return said.stdout.strip()


def _privileges(_: Asked) -> str:
    if os.geteuid() == 0:
        return "root; applications run as somebody else"
    for file, value, wanted in _SYSCTLS:
        path = Path("/proc/sys") / file
        if path.exists() and path.read_text().strip() == value:
            name = file.replace("/", ".")
            raise Failed(f"{name} is {value}: normal users may not make user namespaces", f"sysctl {name}={wanted}")
    return "a normal user, by a user namespace"


def _namespaces(_: Asked) -> str:
    host.check_machine()
    return "user, network, PID and mount namespaces"


def _nftables(_: Asked) -> str:
    rules = (
        "table ip weft { chain output { type nat hook output priority -100;\nmeta l4proto tcp redirect to :4140\n}\n}\n"
    )
    said = host.try_inside(["nft", "-f", "-"], rules)
    if said.returncode != 0:
        hint = (
            "load the kernel's modules nf_tables, nft_chain_nat and nft_redir (modprobe), or use a kernel that has them"
        )
        raise Failed(f"the kernel refuses the redirection: {said.stderr.strip()}", hint)
    return "redirection works"


def _proc(_: Asked) -> str:
    if host.try_inside(["mount", "-t", "proc", "proc", "/proc"]).returncode != 0:
        hint = "harmless; a container without --security-opt systempaths=unconfined masks it"
        raise Warned("/proc cannot be mounted: applications see the processes of others", hint)
    return "each mesh has its own"


def _ipv6(_: Asked) -> str:
    if not Path("/proc/net/if_inet6").exists():
        raise Warned("the kernel has no IPv6: the mesh will have IPv4 only", "boot without ipv6.disable=1")
    return "available"


def _room(asked: Asked) -> str:
    directory = state.find(asked.mesh).root.parent
    while not directory.exists():
        directory = directory.parent
    if not os.access(directory, os.W_OK):
        raise Failed(f"{directory} cannot be written to", "set XDG_RUNTIME_DIR to a directory of your own")
    free = shutil.disk_usage(directory).free // (1024 * 1024)
    if free < _LEAST_ROOM:
        raise Warned(f"{free} MiB free in {directory}", "logs need up to 32 MiB for each replica: make room")
    return f"{free} MiB free in {directory}"


def _way_out(_: Asked) -> str:
    try:
        uplink.check()
    except WeftError as problem:
        raise Warned(f"{problem.reason} (nothing else needs it)", problem.hint) from None
    return "pasta"


def _egress(asked: Asked) -> str:
    wanting = [each.meta.name for each in _workloads(asked) if each.egress == "host"]
    if wanting:
        uplink.check()
    return ", ".join(wanting) or "nobody wants out"


def _directories(asked: Asked) -> str:
    closed = [str(path) for each in _workloads(asked) if (path := _unreadable(each)) is not None]
    if closed:
        hint = "applications run as an unprivileged user: chmod o+rx the directory and those above it"
        raise Failed(f"not readable for applications: {', '.join(sorted(set(closed)))}", hint)
    return "readable for applications"


def _ports(asked: Asked) -> str:
    if state.find(asked.mesh).alive():
        return "in use by the mesh"
    taken = []
    published = [(entry.host, entry.listen) for each in _workloads(asked) for entry in each.publish if entry.listen]
    for address in published:
        try:
            socket.create_server(address, family=socket.AF_INET6 if ":" in address[0] else socket.AF_INET).close()
        except OSError as problem:
            taken.append(f"{address[0]}:{address[1]} ({problem.strerror})")
    if taken:
        raise Failed(
            f"cannot be listened on: {', '.join(taken)}", "end who listens there (ss -ltnp), or publish another port"
        )
    return ", ".join(f"{name}:{port}" for name, port in published) or "none published"


def _commands(asked: Asked) -> str:
    missing = []
    for each in _workloads(asked):
        program = each.command[0]
        directory = Path(each.meta.origin.file).absolute().parent / each.working_dir
        found = (directory / program).exists() if "/" in program else shutil.which(program)
        if not found:
            missing.append(f"{program} of {each.meta.name}")
    if missing:
        raise Failed(f"not found: {', '.join(missing)}", "install it, or write its path in `command`")
    return "all found"


def _replicas(asked: Asked) -> str:
    rows = client.rows(asked.mesh, {"do": "ps"})
    waiting = [f"{row['name']}: {row['status']}" for row in rows if not row["ready"] and row["status"] != "finished"]
    if waiting:
        raise Failed("; ".join(waiting), "`weft logs NAME` and `weft logs --proxy NAME` say more")
    return f"{len(rows)} ready"


def _restarts(asked: Asked) -> str:
    rows = [row for row in client.rows(asked.mesh, {"do": "ps"}) if int(str(row["restarts"])) > 0]
    if rows:
        words = ", ".join(f"{row['name']} {row['restarts']} times" for row in rows)
        raise Warned(f"started again: {words}", "`weft logs NAME` says how they ended")
    return "nothing had to be started again"


def _workloads(asked: Asked) -> Sequence[Workload]:
    return asked.documents.workloads if asked.documents else ()


def _unreadable(workload: Workload) -> Path | None:
    """The first directory on the way that others may not enter; only where applications are somebody else."""
    if os.geteuid() != 0:
        return None
    directory = (Path(workload.meta.origin.file).absolute().parent / workload.working_dir).resolve()
    for path in (*reversed(directory.parents), directory):
        if not path.is_dir() or not path.stat().st_mode & 0o001:
            return path
    return None


CHECKS: list[Check] = [
    Check("machine", "programs are installed", _programs),
    Check("machine", "the proxy runs", _proxy),
    Check("machine", "namespaces may be made", _privileges),
    Check("machine", "namespaces work", _namespaces),
    Check("machine", "nftables works", _nftables),
    Check("machine", "processes are hidden from each other", _proc),
    Check("machine", "IPv6", _ipv6),
    Check("machine", "room for state and logs", _room),
    Check("machine", "`egress: host` works", _way_out),
    Check("files", "working directories", _directories),
    Check("files", "commands", _commands),
    Check("files", "published ports are free", _ports),
    Check("files", "the host's network is reached", _egress),
    Check("mesh", "replicas are ready", _replicas),
    Check("mesh", "replicas stay up", _restarts),
]
_PROGRAMS = {"unshare": "util-linux", "setpriv": "util-linux", "nft": "nftables", "mount": "mount"}
_SYSCTLS = (
    ("user/max_user_namespaces", "0", "10000"),
    ("kernel/unprivileged_userns_clone", "0", "1"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
)
"""File, the value that forbids, the value that allows."""
_LEAST_ROOM = 64
