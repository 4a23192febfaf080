"""Writes the documents that the control plane reads, each by atomic rename, and only those that changed."""

import json
from collections.abc import Mapping
from pathlib import Path


class ObjectStore:
    """The one writer of the objects directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._written: dict[str, str] = {}

    def write(self, documents: Mapping[str, object]) -> None:
        """Make the directory hold exactly these documents."""
        for name, document in documents.items():
            text = json.dumps(document, separators=(",", ":"))
            if self._written.get(name) != text:
                fresh = self._directory / f".{name}.new"
                fresh.write_text(text)
                fresh.replace(self._directory / name)
                self._written[name] = text
        for name in self._written.keys() - documents.keys():
            (self._directory / name).unlink(missing_ok=True)
            del self._written[name]
