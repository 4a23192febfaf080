"""Builds the shop's services into a cache outside the package, one language at a time.

A language whose toolchain is missing, or cannot build here, is left out with the reason; that is never an error.
What is unchanged since it was last built is not built again. Never starts a service.
"""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from weft.demo import interpreter
from weft.demo.mesh_file import Fill

SERVICES = Path(__file__).parent / "services"
BUILD_TIMEOUT_SECONDS = 600

Say = Callable[[str], None]


class CannotBuild(Exception):
    """A service that this machine cannot build; the text says why, in a few words."""


@dataclass
class Shop:
    """What was built: how to fill in the mesh file, and the workloads that cannot run, each with the reason."""

    fill: Fill
    left_out: dict[str, str] = field(default_factory=dict)


def build(cache: Path, say: Say) -> Shop:
    """Builds everything below `cache` (made if need be, readable by all) and says one line for each language."""
    before = os.umask(0o022)
    try:
        return _build(cache, say)
    finally:
        os.umask(before)


def cache_folder() -> Path:
    """Where builds are kept. Root's own cache is closed to others, and the services do not run as root."""
    if os.geteuid() == 0:
        return Path("/var/cache/weft/demo")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weft" / "demo"


def languages(cache: Path, say: Say) -> dict[str, str]:
    """Build what needs a toolchain; the workloads that cannot be built here, each with the reason."""
    left_out: dict[str, str] = {}
    for workload, language, make in (("orders", "Go", _go), ("stock", "Node.js", _node)):
        started = time.monotonic()
        try:
            if make(cache, say):
                say(f"{workload} ({language}): built in {time.monotonic() - started:.0f} s")
        except CannotBuild as why:
            left_out[workload] = str(why)
            say(f"{workload} ({language}): left out, {why}")
    return left_out


def _build(cache: Path, say: Say) -> Shop:
    cache.mkdir(parents=True, exist_ok=True)
    _refresh_copy(SERVICES, cache / "services", ("*.py", "*.proto"))
    python, python_env = interpreter.python(cache, say)
    left_out = languages(cache, say)
    node = "" if "stock" in left_out else interpreter.runnable("node", cache)
    return Shop(Fill({"shop": str(cache), "python": python, "node": node}, {"python": python_env}), left_out)


def _go(cache: Path, say: Say) -> bool:
    go = _tool("go")
    sources = SERVICES / "orders"
    built = cache / "orders" / "orders"
    with _unless_unchanged(built.parent, _files(sources), [go, "version"]) as stale:
        if stale:
            say("orders (Go): building")
            built.parent.mkdir(exist_ok=True)
            # No toolchain of another version is fetched behind the user's back; no C compiler is needed.
            env = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"}
            _run([go, "build", "-trimpath", "-o", str(built), "."], sources, env)
        return stale


def _node(cache: Path, say: Say) -> bool:
    node, npm = _tool("node"), _tool("npm")
    sources = SERVICES / "stock"
    target = cache / "stock"
    with _unless_unchanged(target, _files(sources), [node, "--version"]) as stale:
        if stale:
            say("stock (Node.js): installing its packages")
            _refresh_copy(sources, target, ("*.js", "*.json"))
            quiet = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            _run([npm, "ci", *quiet], target, dict(os.environ))
        return stale


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise CannotBuild(f"there is no `{name}` on this machine")
    return found


def _run(command: list[str], where: Path, env: dict[str, str]) -> str:
    try:
        done = subprocess.run(
            command, cwd=where, env=env, capture_output=True, text=True, timeout=BUILD_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBuild(str(error)) from error
    if done.returncode != 0:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise CannotBuild(
            f"`{Path(command[0]).name} {command[1]}` failed: {lines[-1].strip() if lines else 'no reason given'}"
        )
    return done.stdout


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _refresh_copy(source: Path, target: Path, patterns: tuple[str, ...]) -> None:
    target.mkdir(exist_ok=True)
    for pattern in patterns:
        for file in source.glob(pattern):
            shutil.copyfile(file, target / file.name)


class _unless_unchanged:
    """Tells whether what lies in `folder` must be made again; marks it as made when the block ends well."""

    def __init__(self, folder: Path, sources: Iterable[Path], version: list[str]) -> None:
        self._stamp = folder / ".built-from"
        digest = hashlib.sha256(_run(version, SERVICES, dict(os.environ)).encode())
        for source in sources:
            digest.update(source.name.encode() + b"\0" + source.read_bytes())
        self._wanted = digest.hexdigest()

    def __enter__(self) -> bool:
        with suppress(OSError):
            if self._stamp.read_text() == self._wanted:
                return False
            self._stamp.unlink()
        return True

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._stamp.write_text(self._wanted)
