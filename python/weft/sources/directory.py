"""Documents in the files of one directory, watched.

A file that turns bad keeps its last good documents in force, and its problems are logged once. Files are read again
only when they changed, and only what differs is published. The kernel says which files to look at; once a second all
are looked at as well, for what it does not tell: changes behind a mount or a link, and a directory that came back.

Who changes several files at once makes one change of it (`changing`): half of the old rules and half of the new could
let somebody in whom neither would.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

from weft.lib.errors import Problem, WeftError
from weft.model import Document, ObjectId
from weft.resources import Loaded, Rereading, duplicate, is_document_file
from weft.sources.memory import Publish
from weft.sources.notices import Notices

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int]
Documents = Mapping[ObjectId, Document]
Changes = Mapping[ObjectId, Document | None]


class Directory:
    """Reads `path` and publishes what changes in its files. Of a document in two files, the first by name counts."""

    def __init__(self, path: Path, publish: Publish) -> None:
        self._path = path
        self._publish = publish
        self._stamps: dict[str, Stamp] = {}
        self._readings: dict[str, Rereading] = {}
        self._good: dict[str, Documents] = {}
        self._holders: dict[ObjectId, tuple[str, ...]] = {}
        """In which files a document is, by name."""
        self._doubles: dict[ObjectId, tuple[Problem, ...]] = {}
        self._in_vain = 0
        """How often in a row all of it could not be read because a change was under way."""
        self.problems: dict[Path, tuple[Problem, ...]] = {}

    async def run(self, ready: asyncio.Event) -> None:
        """Read, publish, set `ready`, and go on until cancelled."""
        if not self._path.is_dir():
            raise WeftError(f"{self._path} is not a directory", "--objects names the directory of the mesh's documents")
        with Notices(self._path) as notices:
            while not self._counted(await self._look(None, first=True)):
                await notices.wait(RESCAN_SECONDS)  # another process is at work; the end of its change is heard
            ready.set()
            if notices.problem:
                fields = {"error": notices.problem, "looked_at_every_seconds": RESCAN_SECONDS}
                log.warning("the kernel does not watch the objects", extra={"fields": fields})
            await self._follow(notices)

    def scan(self, first: bool = False) -> bool:
        """Read what changed since the last time; publish when anything did, and the first time.

        Says whether it could: not while several files are being changed, and not when they were meanwhile.
        """
        steps = self._reading(None, first)
        while (whether := _step(steps)) is None:
            pass
        return self._counted(whether)

    async def _follow(self, notices: Notices) -> None:
        """Look at what is heard of and, once a second, at everything."""
        loop = asyncio.get_running_loop()
        due = loop.time() + RESCAN_SECONDS
        names: set[str] | None = set()
        while True:
            heard = await notices.wait(due - loop.time())
            notices.renew()
            everything = heard is None or loop.time() >= due
            names = None if everything or heard is None or names is None else names | heard
            whether = await self._look(names)
            if whether:
                names = set()
            if everything:
                self._counted(whether)
                due = loop.time() + RESCAN_SECONDS

    def _counted(self, whether: bool) -> bool:
        """Say once when looking at everything has been in vain many times."""
        self._in_vain = 0 if whether else self._in_vain + 1
        if self._in_vain == MANY_LOOKS:
            fields = {"file": str(self._path / UNDER_WAY), "hint": "remove it if nobody is at work"}
            log.warning("a change of the objects does not end, the last good state stays", extra={"fields": fields})
        return whether

    async def _look(self, names: set[str] | None, first: bool = False) -> bool:
        """Do what `scan` does, or only that with the files of these names; the loop goes on meanwhile."""
        steps = self._reading(names, first)
        while (whether := _step(steps)) is None:  # noqa: ASYNC110 -- gives way, waits for nothing
            await asyncio.sleep(0)
        return whether

    def _reading(self, names: set[str] | None, first: bool) -> Generator[None, None, bool]:
        """Do it, with many pauses."""
        change = _finished_change(self._path)
        if change is None:
            return False
        present = self._present(names)
        if present is None:
            return True
        # A write within one tick of the clock may leave the stamp as it is: who is named has been written.
        differing = self._differing(present) if names is None else sorted(filter(present.get, present))
        read = {}
        for name in differing:
            again = self._readings.setdefault(name, Rereading(self._path / name))
            read[name] = yield from again.read()
            yield
        if _finished_change(self._path) != change:
            return False
        self._take(present, read, first)
        return True

    def _present(self, names: set[str] | None) -> Mapping[str, Stamp | None] | None:
        """Return the stamps of the files to look at: None for one that is gone. None for all: they cannot be listed."""
        if names is not None and not any(name.startswith("..") for name in names):
            return {name: _stamp(self._path / name) for name in names if is_document_file(name)}
        # A name like `..data` is the link that Kubernetes turns over when it writes a volume: every file is another.
        try:
            with os.scandir(self._path) as entries:
                found = {entry.name: _stamp(entry) for entry in entries if is_document_file(entry.name)}
        except OSError as error:
            log.error("cannot read the objects, the last good state stays", extra={"fields": {"error": str(error)}})
            return None
        return {**dict.fromkeys(self._stamps), **found}

    def _differing(self, present: Mapping[str, Stamp | None]) -> list[str]:
        return sorted(name for name, stamp in present.items() if stamp and self._stamps.get(name) != stamp)

    def _take(self, present: Mapping[str, Stamp | None], read: Mapping[str, Loaded], first: bool) -> None:
        """Put in force what was read, and forget what is gone."""
        gone = [name for name, stamp in present.items() if stamp is None and name in self._stamps]
        before = {name: self._good.get(name, {}) for name in (*gone, *read)}
        for name in gone:
            del self._stamps[name], self._readings[name]
            self._good.pop(name, None)
            self.problems.pop(self._path / name, None)
        for name, loaded in read.items():
            stamp = present[name]
            assert stamp is not None
            self._stamps[name] = stamp
            self._keep(name, loaded)
        if gone or read or first:
            self._publish(self._changes(before))

    def _keep(self, name: str, loaded: Loaded) -> None:
        documents = {document.meta.id: document for document in loaded.documents}
        if not loaded.problems:
            self.problems.pop(self._path / name, None)
            self._good[name] = documents
            return
        kept = len(self._good.get(name, ()))
        for problem in loaded.problems:
            fields = {"file": problem.file, "line": problem.line, "hint": problem.hint, "documents_kept": kept}
            log.error("bad document, the last good state stays: %s", problem.reason, extra={"fields": fields})
        self.problems[self._path / name] = loaded.problems
        # A file that was never good gives what is good in it; one that was keeps all it had.
        self._good.setdefault(name, documents)

    def _changes(self, before: Mapping[str, Documents]) -> Changes:
        """Return what differs for everybody, after these files changed from what they were `before`."""
        concerned: set[ObjectId] = set()
        for name, old in before.items():
            new = self._good.get(name, {})
            for which in old.keys() - new.keys():
                self._holders[which] = tuple(each for each in self._holders[which] if each != name)
            for which in new.keys() - old.keys():
                self._holders[which] = tuple(sorted((*self._holders.get(which, ()), name)))
            concerned |= old.keys() | new.keys()
        return {which: self._winner(which) for which in concerned}

    def _winner(self, which: ObjectId) -> Document | None:
        """Return the document that counts, and say once of each other one that it does not."""
        documents = [self._good[name][which] for name in self._holders[which]]
        doubles = tuple(duplicate(documents[0], other) for other in documents[1:])
        known = self._doubles.pop(which, ())
        if doubles:
            self._doubles[which] = doubles
        for problem in doubles:
            if problem not in known:
                fields = {"file": problem.file, "line": problem.line, "hint": problem.hint}
                log.error("%s", problem.reason, extra={"fields": fields})
        if not documents:
            del self._holders[which]
        return documents[0] if documents else None


@contextlib.contextmanager
def changing(directory: Path) -> Iterator[None]:
    """Change several files inside this block, and readers of the directory see all of it or nothing.

    When it fails they go on seeing nothing of it, until another change succeeds.
    """
    (directory / UNDER_WAY).touch()
    yield
    (directory / UNDER_WAY).replace(directory / FINISHED)


def _step(steps: Generator[None, None, bool]) -> bool | None:
    """Go on to the next pause; what was said at the end, None before it."""
    try:
        next(steps)
    except StopIteration as end:
        return bool(end.value)
    return None


def _finished_change(directory: Path) -> tuple[Stamp | None] | None:
    """Return what tells the last such change from others; None while one is under way."""
    # In this order: a change that ends between the two looks is taken for one that has happened since.
    finished = _stamp(directory / FINISHED)
    return None if (directory / UNDER_WAY).exists() else (finished,)


def _stamp(file: Path | os.DirEntry[str]) -> Stamp | None:
    """Return what changes whenever a file is renamed into place or written."""
    try:
        about = file.stat()
    except FileNotFoundError:
        return None
    return about.st_ino, about.st_mtime_ns, about.st_size


UNDER_WAY, FINISHED = ".changing", ".changed"
RESCAN_SECONDS = 1.0
MANY_LOOKS = 10
