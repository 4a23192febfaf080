"""Reading a file again: only the documents whose text or place is another. The result is that of reading all of it.

A mesh that somebody keeps in one file is thousands of documents, and an edit is about one. Of a file with problems
nothing is kept, so what is said of it never depends on what it was before.
"""

import hashlib
from collections.abc import Generator, Iterator
from pathlib import Path

from weft.resources.load import Loaded, file_text, join, loaded, read_text
from weft.resources.tree import begins

Place = tuple[int, bytes]
"""How many lines are above a part of a file, and the digest of its text."""


class Rereading:
    """One file, and what its documents were when it was last read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[Place, Loaded] = {}

    def read(self) -> Generator[None, None, Loaded]:
        """Return what is in the file, with a pause after each document that had to be read."""
        known, self._known = self._known, {}
        text = file_text(self._path)
        if not isinstance(text, str):
            return loaded(text)
        fresh: dict[Place, Loaded] = {}
        for above, part in _parts(text):
            place = (above, hashlib.blake2b(part.encode(), digest_size=16).digest())
            found = known.get(place)
            if found is None:
                found = join(map(loaded, read_text(part, str(self._path), above)))
                yield
            if found.problems:
                return (yield from self._whole(text))
            fresh[place] = found
        self._known = fresh
        return join(fresh.values())

    def _whole(self, text: str) -> Generator[None, None, Loaded]:
        parts = []
        for each in read_text(text, str(self._path)):
            parts.append(loaded(each))
            yield
        return join(parts)


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Each document's text with the number of lines above it; all as one where a document may reach into the next."""
    lines = text.split("\n")
    if any(line.startswith(ACROSS) for line in lines) or any(each in text for each in OTHER_LINE_ENDS):
        yield 0, text
        return
    starts = [0, *(at for at, line in enumerate(lines) if at and begins(line))]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield start, "\n".join(lines[start:end])


ACROSS = ("%", "...")
"""Directives hold for the document behind the next `---`, and an end mark has its own rules of what may follow."""
OTHER_LINE_ENDS = ("\r", "\x85", "\u2028", "\u2029")
"""What YAML takes for the end of a line beside the usual one."""
