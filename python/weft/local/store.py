"""Writes the documents that the control plane reads: only those that changed, and all of them as one change."""

import json
from collections.abc import Mapping
from pathlib import Path

from weft.sources.directory import changing


class ObjectStore:
    """The one writer of the objects directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._written: dict[str, str] = {}
        self._whole = False
        """Whether the last change was finished."""

    def write(self, documents: Mapping[str, object]) -> None:
        """Make the directory hold exactly these documents."""
        texts = {name: json.dumps(document, separators=(",", ":")) for name, document in documents.items()}
        if self._whole and texts == self._written:
            return
        self._whole = False
        with changing(self._directory):
            for name, text in texts.items():
                if self._written.get(name) != text:
                    fresh = self._directory / f".{name}.new"
                    fresh.write_text(text)
                    fresh.replace(self._directory / name)
                    self._written[name] = text
            for name in self._written.keys() - texts.keys():
                (self._directory / name).unlink(missing_ok=True)
                del self._written[name]
        self._whole = True
