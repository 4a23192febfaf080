"""The part of `weft up` that stays on the host: starts the supervisor in its namespaces, and lends it what is there.

A listening socket belongs to the network namespace in which it was made, so the host side makes it and passes it in
(`lending`); the supervisor accepts on it from within. When this process ends, for whatever reason, the kernel ends the
whole mesh.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from weft.lib.errors import WeftError
from weft.lib.tasks import start
from weft.local import client, lending
from weft.local.options import Options
from weft.local.programs import find_program
from weft.local.state import State


def check_machine() -> None:
    """Raise WeftError when a needed program or kernel facility is missing."""
    for program, package in (("unshare", "util-linux"), ("setpriv", "util-linux"), ("nft", "nftables")):
        if find_program(program) is None:
            raise WeftError(f"the program `{program}` is missing", f"install the package {package}")
    tried = subprocess.run([*_unshare(), "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        hint = (
            "run as root, or let normal users make user namespaces: sysctl user.max_user_namespaces, "
            "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns"
        )
        raise WeftError(f"the kernel refuses namespaces: {tried.stderr.strip()}", hint)


def try_inside(command: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in namespaces such as a mesh would have; they are gone when it ends."""
    program = find_program(command[0]) or command[0]
    words = [*_unshare(), program, *command[1:]]
    return subprocess.run(words, input=text, capture_output=True, text=True, timeout=30, check=False)


def run(state: State, mesh: str, files: Sequence[Path], options: Options) -> int:
    """Run the mesh until it ends; the exit code. The state directory exists and is removed at the end."""
    try:
        return asyncio.run(_run(state, mesh, files, options))
    finally:
        state.remove()


def detach(state: State, mesh: str, files: Sequence[Path], options: Options) -> None:
    """Start `weft up` in the background; return when the mesh is ready. Raises WeftError with what it said instead."""
    state.root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with state.said.open("w+b") as output:
        said = ["--mesh", mesh, *options.up(), "--", *(str(file) for file in files)]
        command = [sys.executable, "-m", "weft", "up", *said]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        while process.poll() is None:
            failed: object = None
            with contextlib.suppress(WeftError):
                answer = client.ask(mesh, {"do": "ps"})
                if answer.get("ready"):
                    return
                failed = answer.get("failed")
            if isinstance(failed, list) and failed:
                raise WeftError(
                    f"mesh {mesh} runs, but not all of it: {'; '.join(map(str, failed))}",
                    f"put it right (`weft logs NAME --mesh {mesh}`; edit, or `weft restart`), or end it: weft down",
                )
            time.sleep(_POLL)
        output.seek(0)
        raise WeftError(f"the mesh did not start:\n{output.read().decode(errors='replace').rstrip()}")


def wait_until_gone(state: State) -> None:
    """Return when nothing of the mesh is left. Raises WeftError when it does not end."""
    for _ in range(_STOP_POLLS):
        if not state.alive():
            return
        time.sleep(_POLL)
    raise WeftError("the mesh does not stop", f"kill the process that {state.owner} names: everything goes with it")


async def _run(state: State, mesh: str, files: Sequence[Path], options: Options) -> int:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    lifeline, hold = os.pipe()
    order = {
        "state": str(state.root),
        "mesh": mesh,
        "files": [str(file) for file in files],
        "binder": theirs.fileno(),
        "lifeline": lifeline,
        "application_uid": _application_uid(),
        "options": options.written(),
    }
    command = [
        *("setpriv", "--pdeathsig", "KILL"),
        *(*_unshare(), sys.executable, "-P", "-m", "weft.local.supervise", json.dumps(order)),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, pass_fds=(theirs.fileno(), lifeline), start_new_session=True, stdin=subprocess.DEVNULL
    )
    theirs.close()
    os.close(lifeline)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, os.write, hold, b"stop\n")
    ours.setblocking(False)
    async with asyncio.TaskGroup() as group:
        lent = start(group, "lend to the mesh", lending.lend(ours))
        code = await process.wait()
        lent.cancel()
    return code if code >= 0 else 1


def _unshare() -> list[str]:
    user = ["--user", "--map-root-user"] if os.geteuid() != 0 else []
    return [
        "unshare",
        *user,
        "--fork",
        "--pid",
        "--kill-child",
        "--mount",
        "--net",
        "--ipc",
        "--propagation",
        "private",
    ]


def _application_uid() -> int:
    """Who applications are outside: for root somebody unprivileged, for a normal user that user (0 inside)."""
    if os.geteuid() != 0:
        return 0
    return int(os.environ.get("SUDO_UID", "0")) or _NOBODY


_NOBODY = 65534
_POLL = 0.05
_STOP_POLLS = 1200
