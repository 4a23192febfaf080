"""Documents in the files of one directory, watched.

A file that turns bad keeps its last good documents in force, and its problems are logged once. Files are read again
only when they changed. The directory is looked at once a second as well: a watch misses what happens before it starts.

Who changes several files at once makes one change of it (`changing`): half of the old rules and half of the new could
let somebody in whom neither would.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from watchfiles import awatch

from weft.lib.errors import Problem, WeftError
from weft.model import Document
from weft.resources import Loaded, files_in, join, load_file
from weft.sources.memory import Publish

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int]


class Directory:
    """Reads `path` and publishes the documents of all its files whenever one of them changes."""

    def __init__(self, path: Path, publish: Publish) -> None:
        self._path = path
        self._publish = publish
        self._stamps: dict[Path, Stamp] = {}
        self._good: dict[Path, Loaded] = {}
        self._doubles: tuple[Problem, ...] = ()
        self._held_off = 0
        """How often in a row it was not read because a change was under way."""
        self.problems: dict[Path, tuple[Problem, ...]] = {}

    async def run(self, ready: asyncio.Event) -> None:
        """Read, publish, set `ready`, and go on until cancelled."""
        if not self._path.is_dir():
            raise WeftError(f"{self._path} is not a directory", "--objects names the directory of the mesh's documents")
        while not self.scan(first=True):  # noqa: ASYNC110 -- another process is at work
            await asyncio.sleep(STEP_MS / 1000)
        ready.set()
        watch = awatch(
            self._path,
            recursive=False,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            rust_timeout=RESCAN_MS,
            yield_on_timeout=True,
            watch_filter=None,
        )
        async for _ in watch:
            self.scan()

    def scan(self, first: bool = False) -> bool:
        """Read what changed since the last time; publish when anything did, and the first time.

        Says whether it could: not while several files are being changed, and not when they were meanwhile.
        """
        change = _finished_change(self._path)
        if change is None:
            self._held_off += 1
            if self._held_off == MANY_LOOKS:
                fields = {"file": str(self._path / UNDER_WAY), "hint": "remove it if nobody is at work"}
                log.warning("a change of the objects does not end, the last good state stays", extra={"fields": fields})
            return False
        self._held_off = 0
        try:
            files = files_in(self._path)
        except OSError as error:
            log.error("cannot read the objects, the last good state stays", extra={"fields": {"error": str(error)}})
            return True
        present = {path: stamp for path in files if (stamp := _stamp(path)) is not None}
        read = {path: load_file(path) for path, stamp in present.items() if self._stamps.get(path) != stamp}
        if _finished_change(self._path) != change:
            return False
        gone = [path for path in self._stamps if path not in present]
        for path in gone:
            del self._stamps[path]
            self._good.pop(path, None)
            self.problems.pop(path, None)
        for path, loaded in read.items():
            self._stamps[path] = present[path]
            self._keep(path, loaded)
        if read or gone or first:
            self._publish(self._documents())
        return True

    def _keep(self, path: Path, loaded: Loaded) -> None:
        if loaded.problems:
            kept = len(self._good[path].documents) if path in self._good else 0
            for problem in loaded.problems:
                fields = {"file": problem.file, "line": problem.line, "hint": problem.hint, "documents_kept": kept}
                log.error("bad document, the last good state stays: %s", problem.reason, extra={"fields": fields})
            self.problems[path] = loaded.problems
            # A file that was never good gives what is good in it; one that was keeps all it had.
            self._good.setdefault(path, Loaded(loaded.documents, ()))
        else:
            self.problems.pop(path, None)
            self._good[path] = loaded

    def _documents(self) -> tuple[Document, ...]:
        joined = join(self._good[path] for path in sorted(self._good))
        for problem in joined.problems:
            if problem not in self._doubles:
                fields = {"file": problem.file, "line": problem.line, "hint": problem.hint}
                log.error("%s", problem.reason, extra={"fields": fields})
        self._doubles = joined.problems
        return joined.documents


@contextlib.contextmanager
def changing(directory: Path) -> Iterator[None]:
    """Change several files inside this block, and readers of the directory see all of it or nothing.

    When it fails they go on seeing nothing of it, until another change succeeds.
    """
    (directory / UNDER_WAY).touch()
    yield
    (directory / UNDER_WAY).replace(directory / FINISHED)


def _finished_change(directory: Path) -> tuple[Stamp | None] | None:
    """Return what tells the last such change from others; None while one is under way."""
    # In this order: a change that ends between the two looks is taken for one that has happened since.
    finished = _stamp(directory / FINISHED)
    return None if (directory / UNDER_WAY).exists() else (finished,)


def _stamp(path: Path) -> Stamp | None:
    """Return what changes whenever a file is renamed into place or written."""
    try:
        about = path.stat()
    except FileNotFoundError:
        return None
    return about.st_ino, about.st_mtime_ns, about.st_size


UNDER_WAY, FINISHED = ".changing", ".changed"
DEBOUNCE_MS = 200
STEP_MS = 20
RESCAN_MS = 1000
MANY_LOOKS = 50
