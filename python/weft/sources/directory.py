"""Documents in the files of one directory, watched.

A file that turns bad keeps its last good documents in force, and its problems are logged once. Files are read again
only when they changed. The directory is looked at once a second as well: a watch misses what happens before it starts.
"""

import asyncio
import logging
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
        self.problems: dict[Path, tuple[Problem, ...]] = {}

    async def run(self, ready: asyncio.Event) -> None:
        """Read, publish, set `ready`, and go on until cancelled."""
        if not self._path.is_dir():
            raise WeftError(f"{self._path} is not a directory", "--objects names the directory of the mesh's documents")
        self.scan(first=True)
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

    def scan(self, first: bool = False) -> None:
        """Read what changed since the last time; publish when anything did, and the first time."""
        try:
            files = files_in(self._path)
        except OSError as error:
            log.error("cannot read the objects, the last good state stays", extra={"fields": {"error": str(error)}})
            return
        present = {path: stamp for path in files if (stamp := _stamp(path)) is not None}
        changed = [path for path, stamp in present.items() if self._stamps.get(path) != stamp]
        gone = [path for path in self._stamps if path not in present]
        for path in gone:
            del self._stamps[path]
            self._good.pop(path, None)
            self.problems.pop(path, None)
        for path in changed:
            self._stamps[path] = present[path]
            self._read(path)
        if changed or gone or first:
            self._publish(self._documents())

    def _read(self, path: Path) -> None:
        loaded = load_file(path)
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


def _stamp(path: Path) -> Stamp | None:
    """Return what changes whenever a file is renamed into place or written."""
    try:
        about = path.stat()
    except FileNotFoundError:
        return None
    return about.st_ino, about.st_mtime_ns, about.st_size


DEBOUNCE_MS = 200
STEP_MS = 20
RESCAN_MS = 1000
