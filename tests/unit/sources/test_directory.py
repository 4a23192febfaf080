"""The objects directory: what is read, what is kept, what is told."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from weft.lib.errors import WeftError
from weft.model import Document
from weft.sources import Directory

GOOD = "apiVersion: v1\nkind: Service\nmetadata: {{name: {}}}\n"


class Seen:
    """Keeps what a source published."""

    def __init__(self) -> None:
        self.states: list[list[str]] = []
        self.changed = asyncio.Event()

    def __call__(self, documents: Iterable[Document]) -> None:
        self.states.append(sorted(document.meta.name for document in documents))
        self.changed.set()


def test_a_file_that_turns_bad_keeps_its_last_good_documents(tmp_path: Path) -> None:
    """Requirement: the last good state stays until the file is good again or gone; other files go on."""
    seen = Seen()
    source = Directory(tmp_path, seen)
    file = tmp_path / "a.yaml"
    file.write_text(GOOD.format("one"))
    source.scan()
    file.write_text("kind: [")
    (tmp_path / "b.json").write_text('{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "two"}}')
    source.scan()
    assert list(source.problems) == [file]
    file.write_text(GOOD.format("three") + "---\n" + GOOD.format("four"))
    source.scan()
    assert source.problems == {}
    file.unlink()
    source.scan()
    assert seen.states == [["one"], ["one", "two"], ["four", "three", "two"], ["two"]]


def test_nothing_new_is_not_published(tmp_path: Path) -> None:
    """Requirement: looking again costs a listing, not a new Snapshot."""
    seen = Seen()
    source = Directory(tmp_path, seen)
    (tmp_path / "a.yaml").write_text(GOOD.format("one"))
    (tmp_path / ".a.draft").write_text("half written")
    (tmp_path / "notes.txt").write_text("not ours")
    source.scan()
    source.scan()
    assert seen.states == [["one"]]


def test_a_directory_that_disappears_leaves_the_last_state(tmp_path: Path) -> None:
    """Requirement: losing the source is not losing the mesh."""
    objects = tmp_path / "objects"
    objects.mkdir()
    (objects / "a.yaml").write_text(GOOD.format("one"))
    seen = Seen()
    source = Directory(objects, seen)
    source.scan()
    (objects / "a.yaml").unlink()
    objects.rmdir()
    source.scan()
    assert seen.states == [["one"]]


def test_a_change_is_seen_without_being_asked_for(tmp_path: Path) -> None:
    """Requirement: the directory is watched."""

    async def watch() -> list[list[str]]:
        seen, ready = Seen(), asyncio.Event()
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            running = group.create_task(Directory(tmp_path, seen).run(ready), name="source")
            await ready.wait()
            seen.changed.clear()
            draft = tmp_path / ".draft"
            draft.write_text(GOOD.format("one"))
            draft.rename(tmp_path / "a.yaml")
            await seen.changed.wait()
            running.cancel()
        return seen.states

    assert asyncio.run(watch()) == [[], ["one"]]


def test_a_missing_directory_is_said_at_the_start(tmp_path: Path) -> None:
    """Requirement: a wrong --objects is an error of the command line."""
    with pytest.raises(WeftError, match="is not a directory"):
        asyncio.run(Directory(tmp_path / "none", Seen()).run(asyncio.Event()))
