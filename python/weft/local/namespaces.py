"""Linux namespaces by system call: make a network namespace, enter one for a moment, mount, drop into a user namespace.

Everything but `call_inside` acts on the calling thread, and returns at once. The main thread's network namespace is the
process's for everybody who looks or enters through /proc, so it is never left: other threads do what is done elsewhere.
A network namespace is held by a file descriptor alone: it needs no name, no mount and no holder process, and it is gone
with the process that holds it.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8

_THREAD_NETWORK = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)
_elsewhere = ThreadPoolExecutor(1, "elsewhere")


def make_network() -> int:
    """A new, empty network namespace (loopback down), as a file descriptor that keeps it alive."""
    before = os.open(_THREAD_NETWORK, os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare(CLONE_NEWNET)
        return os.open(_THREAD_NETWORK, os.O_RDONLY | os.O_CLOEXEC)
    finally:
        _setns(before, CLONE_NEWNET)
        os.close(before)


@contextmanager
def inside(network: int) -> Iterator[None]:
    """Sockets and processes made in this block belong to `network`. Not for the main thread."""
    before = os.open(_THREAD_NETWORK, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(network, CLONE_NEWNET)
        yield
    finally:
        _setns(before, CLONE_NEWNET)
        os.close(before)


def call_inside(network: int, action: Callable[[], Result]) -> Result:
    """What `action` returns or raises when it is called in `network`; what it opens and starts belongs there."""

    def call() -> Result:
        with inside(network):
            return action()

    return _elsewhere.submit(call).result()


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` for new ones. Raises OSError."""
    _check(_libc.unshare(flags), "unshare")


def make_mounts_private() -> None:
    """From here on, mounts of this namespace are seen by nobody else."""
    mount("none", Path("/"), flags=MS_REC | MS_PRIVATE)


def bind(source: Path, target: Path) -> None:
    """Show `source` (a file or directory) at `target`, which must exist."""
    mount(str(source), target, flags=MS_BIND)


def mount(source: str, target: Path, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount, as the system call of that name does. Raises OSError."""
    arguments = (
        source.encode(),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        data.encode() or None,
    )
    _check(_libc.mount(*arguments), f"mount {target}")


def enter_user(uid: int, gid: int) -> None:
    """Move into a new user namespace in which the present effective user appears as `uid` and `gid`."""
    outside_uid, outside_gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outside_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outside_gid} 1")


def _setns(descriptor: int, kind: int) -> None:
    _check(_libc.setns(descriptor, kind), "setns")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
