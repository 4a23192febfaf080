"""What the mesh should be: its files and what commands changed in them, read again whenever either changes.

Reads and decides; `put_in_force` does the rest. Something bad changes nothing: the last good documents stay.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import watchfiles

from weft.lib.errors import Problem, WeftError
from weft.local import overrides, reading
from weft.local.documents import Documents
from weft.local.overrides import Overrides
from weft.model import ObjectId, Workload
from weft.resources import Read, read_files, read_text

InForce = Callable[[Documents, bool], Awaitable[None]]
"""Makes the mesh what these documents say; with False, only finds out whether it could. Raises WeftError."""
Put = list[tuple[str, str]]
"""What happened to each document: its id as text, and one of `created`, `configured`, `unchanged`."""


class Editing:
    """One mesh's documents. `say` tells whoever ran `weft up`."""

    def __init__(self, files: Sequence[Path], put_in_force: InForce, say: Callable[[str], None]) -> None:
        self._files = files
        self._put_in_force = put_in_force
        self._say = say
        self._one_at_a_time = asyncio.Lock()
        self.documents = Documents()

    async def start(self) -> Documents | list[Problem]:
        """The documents of the files; they are in force when this returns without problems."""
        documents = await asyncio.to_thread(reading.read, self._files)
        if not isinstance(documents, list):
            self.documents = documents
        return documents

    async def watch(self) -> None:
        """Apply edits of the files until cancelled."""
        names = await asyncio.to_thread(lambda: {file.resolve(): file.is_dir() for file in self._files})
        watched = {file if directory else file.parent for file, directory in names.items()}
        async for changes in watchfiles.awatch(*watched, recursive=False, debounce=200):
            touched = {Path(path) for _, path in changes}
            if any(path in names or path.parent in names for path in touched):
                await self._apply_edit()

    async def apply(self, texts: Sequence[tuple[str, str]], dry_run: bool) -> Put | list[Problem]:
        """Put documents in force. `texts` are file names with what is in them."""
        reads = [each for file, text in texts for each in read_text(text, file)]
        problems = sorted(problem for each in reads for problem in each.problems)
        if problems:
            return problems
        async with self._one_at_a_time:
            files = await self._in_files()
            changed = self.documents.overrides
            done: Put = []
            for each in reads:
                assert each.document is not None
                known = self._content(each.document.meta.id)
                word = "unchanged" if known == each.tree.value else "created" if known is None else "configured"
                done.append((str(each.document.meta.id), word))
                changed = changed if word == "unchanged" else changed.put(each, files)
            return await self._adopt(changed, dry_run) or done

    async def delete(self, keys: Sequence[ObjectId]) -> list[Problem]:
        """Take documents out of force. Raises WeftError when one is not there."""
        async with self._one_at_a_time:
            files = await self._in_files()
            changed = self.documents.overrides
            for key in keys:
                if self._content(key) is None:
                    raise WeftError(f"no {key} is written anywhere", "`weft get all` lists the documents")
                changed = changed.delete(key, files)
            return await self._adopt(changed)

    async def scale(self, key: ObjectId, replicas: int) -> list[Problem]:
        """Give a workload another number of replicas. Raises WeftError when there is no such workload."""
        async with self._one_at_a_time:
            files = await self._in_files()
            changed = self.documents.overrides
            reads, _ = changed.over(files)
            found = next((each for each in reads if each.document and each.document.meta.id == key), None)
            if found is None or not isinstance(found.document, Workload):
                names = sorted(each.meta.name for each in self.documents.workloads)
                raise WeftError(f"no workload {key.name} in {key.namespace}", f"there are {', '.join(names)}")
            return await self._adopt(changed.put(overrides.scaled(found, replicas), files))

    async def _apply_edit(self) -> None:
        async with self._one_at_a_time:
            before = self.documents
            try:
                problems = await self._adopt(before.overrides)
            except WeftError as problem:
                self._say(f"the edit was not applied: {problem}\n    hint: {problem.hint}")
                return
            if problems:
                self._say("\n".join(["the edit was not applied; the mesh stays as it was", *map(str, problems)]))
            elif self.documents != before:
                ended = before.overrides.entries.keys() - self.documents.overrides.entries.keys()
                again = f"; as in the files again: {', '.join(sorted(map(str, ended)))}" if ended else ""
                self._say(f"the edit is applied{again}")

    async def _adopt(self, changed: Overrides, dry_run: bool = False) -> list[Problem]:
        documents = await asyncio.to_thread(reading.read, self._files, changed)
        if isinstance(documents, list):
            return documents
        if documents == self.documents and not dry_run:
            return []
        await self._put_in_force(documents, not dry_run)
        if not dry_run:
            self.documents = documents
        return []

    async def _in_files(self) -> list[Read]:
        return await asyncio.to_thread(lambda: list(read_files(self._files)))

    def _content(self, key: ObjectId) -> object:
        wanted = (key.group, key.kind, key.namespace, key.name)
        written = self.documents.written
        return next((e.content for e in written if (e.group, e.kind, e.namespace, e.name) == wanted), None)
