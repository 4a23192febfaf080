"""Holds the Snapshot in force and the answers that somebody waits for.

Decides which questions a change concerns: those whose footprint holds a touched key. What an answer is, `compile` says.
Lives on one event loop: a change runs to its end before a reader sees anything of it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import TracebackType
from typing import Self

from weft.compile import Answer, Question, answer
from weft.model import Document, ObjectId
from weft.model.settings import Settings
from weft.model.snapshot import Key, Snapshot


class TooManyQuestions(Exception):
    """More different questions are open than the control plane holds."""


class Version:
    """An answer as it was for a while. `encoded` keeps what was made of it while a reader may still want it."""

    __slots__ = ("_made", "answer", "number")

    def __init__(self, number: int, answer: Answer) -> None:
        self.number = number
        self.answer = answer
        self._made: dict[int, tuple[bytes, ...]] = {}

    def encoded(self, since: int, make: Callable[[], tuple[bytes, ...]]) -> tuple[bytes, ...]:
        """Return the messages that lead from version `since` (0: from nothing) to this one; made once, then shared."""
        made = self._made.get(since)
        if made is None:
            made = make()
            while len(self._made) >= KEPT_DIFFERENCES:
                self._made.pop(next(iter(self._made)))
            self._made[since] = made
        return made


class _Entry:
    __slots__ = ("because", "changed", "readers", "version")

    def __init__(self, version: Version, because: frozenset[Key]) -> None:
        self.version = version
        self.because = because
        self.readers = 0
        self.changed = asyncio.Event()


class Answers:
    """The Snapshot in force, and what is asked of it."""

    def __init__(self, settings: Settings, limit: int = 200_000) -> None:
        self.snapshot = Snapshot(settings)
        self.changed = asyncio.Event()
        """Set when another snapshot is in force; then there is a new event."""
        self.made = 0
        self._limit = limit
        self._entries: dict[Question, _Entry] = {}
        self._concerned: dict[Key, set[Question]] = {}

    def __len__(self) -> int:
        """Return how many different questions are open."""
        return len(self._entries)

    def replace(self, documents: Iterable[Document]) -> None:
        """Put a Snapshot of exactly these documents in force."""
        self._put(*self.snapshot.replaced(documents))

    def change(self, changes: Mapping[ObjectId, Document | None]) -> None:
        """Put documents in force, or (None) out of it; the others stay."""
        self._put(*self.snapshot.changed(changes))

    def now(self, question: Question) -> Answer:
        """Return the answer as it is, without waiting for the next."""
        entry = self._entries.get(question)
        return entry.version.answer if entry else self._make(question)[0]

    def of(self, question: Question) -> "Watch":
        """Return the answer and all its later versions, to be read in a `with`."""
        return Watch(self, question)

    def _put(self, snapshot: Snapshot, touched: frozenset[Key]) -> None:
        """Put a new Snapshot in force and make again the answers that it touches."""
        self.snapshot = snapshot
        concerned: set[Question] = set()
        for key in touched:
            concerned |= self._concerned.get(key, set())
        for question in concerned:
            entry = self._entries[question]
            new, because = self._make(question)
            self._move(question, entry.because, because)
            entry.because = because
            if new != entry.version.answer:
                entry.version = Version(entry.version.number + 1, new)
                entry.changed.set()
                entry.changed = asyncio.Event()
        self.changed.set()
        self.changed = asyncio.Event()

    def _open(self, question: Question) -> _Entry:
        entry = self._entries.get(question)
        if entry is None:
            if len(self._entries) >= self._limit:
                raise TooManyQuestions(f"{self._limit} different questions are open")
            result, because = self._make(question)
            entry = self._entries[question] = _Entry(Version(1, result), because)
            self._move(question, frozenset(), because)
        entry.readers += 1
        return entry

    def _close(self, question: Question) -> None:
        entry = self._entries[question]
        entry.readers -= 1
        if entry.readers == 0:
            del self._entries[question]
            self._move(question, entry.because, frozenset())

    def _make(self, question: Question) -> tuple[Answer, frozenset[Key]]:
        self.made += 1
        result, because = answer(self.snapshot, question)
        return result, frozenset(because.found)

    def _move(self, question: Question, before: frozenset[Key], after: frozenset[Key]) -> None:
        for key in before - after:
            left = self._concerned[key]
            left.discard(question)
            if not left:
                del self._concerned[key]
        for key in after - before:
            self._concerned.setdefault(key, set()).add(question)


class Watch:
    """One reader of one question. A slow reader skips to the newest version; nothing is queued for it."""

    def __init__(self, answers: Answers, question: Question) -> None:
        self._answers = answers
        self._question = question
        self._entry: _Entry | None = None

    def __enter__(self) -> Self:
        """Open the question; it stays answered until the last of its readers leaves."""
        self._entry = self._answers._open(self._question)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave the question."""
        self._answers._close(self._question)

    async def versions(self) -> AsyncIterator[Version]:
        """Yield the version in force, then each newer one that there is when the reader comes back."""
        entry = self._entry
        assert entry is not None
        seen = 0
        while True:
            version, changed = entry.version, entry.changed
            if version.number == seen:
                await changed.wait()
                continue
            seen = version.number
            yield version


KEPT_DIFFERENCES = 8
