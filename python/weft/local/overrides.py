"""What commands changed in a running mesh: documents put in, taken out or scaled, over those of the files. Pure.

A change lasts until the file's own document changes: from then on the file is right again. It ends with the mesh.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from weft.model import ObjectId, Workload
from weft.resources import Read


@dataclass(frozen=True, slots=True)
class Override:
    """Stands in for the file's document with the content `replaces` (None: no file had one); `read` None deletes it."""

    read: Read | None
    replaces: object


@dataclass(frozen=True, slots=True)
class Overrides:
    """By document. Each method returns the next state."""

    entries: Mapping[ObjectId, Override] = field(default_factory=dict)

    def over(self, files: Iterable[Read]) -> tuple[list[Read], "Overrides"]:
        """The documents with the changes made to them, and the changes that still hold."""
        result: list[Read] = []
        reads = list(files)
        found = {each.document.meta.id: each.tree.value for each in reads if each.document}
        holds = {key: entry for key, entry in self.entries.items() if found.get(key) == entry.replaces}
        for each in reads:
            entry = holds.get(each.document.meta.id) if each.document else None
            if entry is None:
                result.append(each)
            elif entry.read is not None:
                result.append(entry.read)
        result += [entry.read for key, entry in holds.items() if key not in found and entry.read is not None]
        return result, Overrides(holds)

    def put(self, read: Read, files: Iterable[Read]) -> "Overrides":
        """With this document in force; one that the files have too is no change to them."""
        assert read.document is not None
        key = read.document.meta.id
        others = {each: entry for each, entry in self.entries.items() if each != key}
        written = _in_files(key, files)
        return Overrides(others if written == read.tree.value else {**others, key: Override(read, written)})

    def delete(self, key: ObjectId, files: Iterable[Read]) -> "Overrides":
        """With this document gone."""
        others = {each: entry for each, entry in self.entries.items() if each != key}
        written = _in_files(key, files)
        return Overrides(others if written is None else {**others, key: Override(None, written)})


def scaled(read: Read, replicas: int) -> Read:
    """A Workload's document with another number of replicas."""
    assert isinstance(read.document, Workload)
    content = read.tree.value
    assert isinstance(content, dict)
    spec = {**content["spec"], "replicas": replicas}
    return replace(
        read,
        document=replace(read.document, replicas=replicas),
        tree=replace(read.tree, value={**content, "spec": spec}),
    )


def _in_files(key: ObjectId, files: Iterable[Read]) -> object:
    return next((each.tree.value for each in files if each.document and each.document.meta.id == key), None)
