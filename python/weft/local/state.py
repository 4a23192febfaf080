"""Where a mesh keeps its files: one directory per mesh, found again by every command. Removes what a dead mesh left."""

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path


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
        return self.root / "logs"

    @property
    def files(self) -> Path:
        """resolv.conf and hosts of each replica."""
        return self.root / "files"

    def make(self) -> None:
        """Make a fresh directory, for this user's eyes only."""
        self.root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root.mkdir(mode=0o700)
        for directory in (self.objects, self.identity, self.tokens, self.logs, self.files):
            directory.mkdir(mode=0o700)

    def alive(self) -> bool:
        """Whether the mesh runs."""
        try:
            pid, started = self.owner.read_text().split()
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return False
        return start_time(int(pid)) == started

    def remove(self) -> None:
        """Delete everything of a mesh that does not run any more."""
        shutil.rmtree(self.root, ignore_errors=True)


def find(mesh: str) -> State:
    """The state of `mesh`; stale files of one that was killed are removed on the way."""
    state = State(_base() / mesh)
    if state.root.exists() and not state.alive():
        state.remove()
    return state


def start_time(pid: int) -> str:
    """When a process started, in clock ticks since boot: tells it from a later one with the same id. Empty when gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return text.rpartition(")")[2].split()[19]


def _base() -> Path:
    if os.geteuid() == 0:
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
