"""Turn this process into one application of the mesh: private files, no privileges, then exec.

Started by the supervisor inside the replica's network namespace with one JSON argument (`Launch`). It binds the replica's
resolv.conf and hosts, hides the mesh's state directory (tokens, keys, the API socket), enters a user namespace as uid 1000
and executes the program. It never returns: a failure is one line on stderr and exit code 126 or 127.
Imports only the standard library and `namespaces`: it runs before every start of every application.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from weft.local import namespaces

APPLICATION_UID = 1000


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start one application."""

    command: list[str]
    environment: dict[str, str]
    working_directory: str
    files: dict[str, str]
    """What to show where: target path -> source path."""
    hide: str
    """The directory that the application must not see."""
    outside_uid: int
    """Who the application is outside its user namespace; 0 only inside a user namespace that maps it to a normal user."""

    def argv(self) -> list[str]:
        """The command that performs this launch."""
        return [sys.executable, "-P", "-m", "weft.local.launch", json.dumps(asdict(self))]


def main(document: str) -> int:
    """Perform the launch; returns only when it failed."""
    launch = Launch(**json.loads(document))
    try:
        _prepare(launch)
        os.chdir(launch.working_directory)
    except OSError as problem:
        print(f"weft: cannot start in {launch.working_directory}: {problem}", file=sys.stderr)
        if isinstance(problem, PermissionError):
            print(
                "hint: applications run as an unprivileged user (uid 1000 inside, "
                f"uid {launch.outside_uid} outside); let that user read the directory",
                file=sys.stderr,
            )
        return 126
    try:
        os.execvpe(launch.command[0], launch.command, launch.environment)
    except OSError as problem:
        print(f"weft: cannot run {launch.command[0]}: {problem.strerror}", file=sys.stderr)
        return 127


def _prepare(launch: Launch) -> None:
    namespaces.unshare(namespaces.CLONE_NEWNS)
    namespaces.make_mounts_private()
    for target, source in launch.files.items():
        namespaces.bind(Path(source), Path(target))
    namespaces.mount("none", Path(launch.hide), "tmpfs", data="size=4k,mode=000")
    if launch.outside_uid:
        os.setgroups([])
        os.setresgid(launch.outside_uid, launch.outside_uid, launch.outside_uid)
        os.setresuid(launch.outside_uid, launch.outside_uid, launch.outside_uid)
        _become_dumpable()
    namespaces.enter_user(APPLICATION_UID, APPLICATION_UID)


def _become_dumpable() -> None:
    """After a change of user, /proc/self belongs to root until the process says that it may be inspected."""
    import ctypes

    pr_set_dumpable = 4
    ctypes.CDLL(None).prctl(pr_set_dumpable, 1, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
