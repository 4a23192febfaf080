"""Where a mesh keeps its files: one directory per mesh, found again by every command. Removes what a dead mesh left."""

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from weft.lib.errors import WeftError


@dataclass(frozen=True, slots=True)
class State:
    """The paths of one mesh's state directory."""

    root: Path

    @property
    def socket(self) -> Path:
        """The API's Unix socket."""
        return self.root / "api.sock"

    @property
    def owner(self) -> Path:
        """Holds the process id of `weft up`."""
        return self.root / "pid"

    @property
    def objects(self) -> Path:
        """What the control plane watches."""
        return self.root / "objects"

    @property
    def identity(self) -> Path:
        """Trust anchors, the issuer and the token key's public half."""
        return self.root / "identity"

    @property
    def tokens(self) -> Path:
        """One token per meshed replica."""
        return self.root / "tokens"

    @property
    def logs(self) -> Path:
        """What processes printed."""
        return self.root / "logs"

    @property
    def files(self) -> Path:
        """resolv.conf and hosts of each replica."""
        return self.root / "files"

    def make(self) -> None:
        """Make a fresh directory for this user's eyes only, owned by this process from the moment that it is there.

        Raises WeftError when a socket cannot be in it, or there is no room for it.
        """
        if len(os.fsencode(self.socket)) > _SOCKET_PATH:
            hint = "a shorter name for the mesh, or XDG_RUNTIME_DIR for a directory that is not so deep"
            raise WeftError(f"{self.socket} is too long for a socket", hint)
        fresh = State(self.root.with_name(f".{self.root.name}.{os.getpid()}"))
        try:
            self.root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            for directory in (fresh.root, fresh.objects, fresh.identity, fresh.tokens, fresh.logs, fresh.files):
                directory.mkdir(mode=0o700)
            fresh.owner.write_text(f"{os.getpid()} {start_time(os.getpid())}")
            fresh.root.rename(self.root)
        except OSError as problem:
            fresh.remove()
            hint = "make room there, or set XDG_RUNTIME_DIR to a directory of your own that has some"
            raise WeftError(f"{self.root} cannot be made: {problem.strerror}", hint) from problem

    def alive(self) -> bool:
        """Whether the mesh runs, as far as this user may know: what is somebody else's is not ours to remove."""
        try:
            pid, started = self.owner.read_text().split()
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return False
        except PermissionError:
            return True
        return start_time(int(pid)) == started

    def remove(self) -> None:
        """Delete everything of a mesh that does not run any more."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.said.unlink(missing_ok=True)

    @property
    def said(self) -> Path:
        """What a detached `weft up` says."""
        return self.root.with_name(f"{self.root.name}.up.log")


def find(mesh: str) -> State:
    """The state of `mesh`; stale files of meshes that were killed are removed on the way."""
    base = _base()
    for root in base.glob("*"):
        if root.name.startswith("."):  # one that is being made, unless its maker died meanwhile
            if not start_time(int(root.name.rpartition(".")[2])):
                shutil.rmtree(root, ignore_errors=True)
        elif root.is_dir() and not State(root).alive():
            State(root).remove()
    return State(base / mesh)


def start_time(pid: int) -> str:
    """When a process started (clock ticks since boot): tells it from a later one with its id. Empty when gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return text.rpartition(")")[2].split()[19]


def _base() -> Path:
    # Root of a user namespace may be root in name only.
    if os.geteuid() == 0 and os.access("/run", os.W_OK):
        return Path("/run/weft")
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "weft"
    base = Path(f"/tmp/weft-{os.getuid()}")
    base.mkdir(mode=0o700, exist_ok=True)
    found = base.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        raise PermissionError(f"{base} belongs to somebody else; set XDG_RUNTIME_DIR to a directory of your own")
    return base


_SOCKET_PATH = 107
"""Bytes that the kernel takes."""
