"""The objects directory: what is read, what is kept, what is told."""

import asyncio
import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from weft.lib.errors import WeftError
from weft.model import Document, ObjectId
from weft.sources import Directory
from weft.sources.directory import changing

GOOD = "apiVersion: v1\nkind: Service\nmetadata: {{name: {}}}\n"


class Seen:
    """Keeps what a source published: all names that are in force after each time."""

    def __init__(self) -> None:
        self.states: list[list[str]] = []
        self.documents: dict[ObjectId, Document] = {}
        self.changed = asyncio.Event()

    def __call__(self, changes: Mapping[ObjectId, Document | None]) -> None:
        for which, document in changes.items():
            if document is None:
                del self.documents[which]
            else:
                self.documents[which] = document
        self.states.append(sorted(which.name for which in self.documents))
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


def test_several_files_change_at_once_or_not_at_all(tmp_path: Path) -> None:
    """Requirement: between two of the files that are changed together nothing is published, however often it looks."""
    seen = Seen()
    source = Directory(tmp_path, seen)
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(GOOD.format(f"old-{name}"))
    assert source.scan()
    with changing(tmp_path):
        (tmp_path / "a.yaml").write_text(GOOD.format("new-a"))
        assert not source.scan()
        (tmp_path / "b.yaml").write_text(GOOD.format("new-b"))
    assert source.scan()
    assert seen.states == [["old-a", "old-b"], ["new-a", "new-b"]]


def test_what_was_read_while_it_changed_is_not_published(tmp_path: Path) -> None:
    """Requirement: a change that begins and ends while the files are read is read again, as one."""
    seen = Seen()
    source = Directory(tmp_path, seen)
    (tmp_path / "a.yaml").write_text(GOOD.format("old-a"))
    os.mkfifo(tmp_path / "b.yaml")

    def change() -> None:
        with (tmp_path / "b.yaml").open("w") as being_read, changing(tmp_path):
            (tmp_path / "a.yaml").write_text(GOOD.format("new-a"))
            (tmp_path / "b.yaml").unlink()
            (tmp_path / "b.yaml").write_text(GOOD.format("new-b"))
            being_read.write(GOOD.format("old-b"))

    writer = threading.Thread(target=change)
    writer.start()
    assert not source.scan()
    writer.join()
    assert source.scan()
    assert seen.states == [["new-a", "new-b"]]


def test_a_change_that_does_not_end_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Requirement: a mark that was left behind does not stop the documents silently; the file is named, once."""
    (tmp_path / ".changing").touch()
    source = Directory(tmp_path, Seen())
    while not caplog.records:
        assert not source.scan()
    assert not source.scan()
    (record,) = caplog.records
    assert "does not end" in record.message
    assert record.__dict__["fields"]["file"] == str(tmp_path / ".changing")


def test_the_end_of_a_change_is_heard(tmp_path: Path) -> None:
    """Requirement: a watched directory shows several files changed together as one change, soon after its end."""

    async def watch() -> list[list[str]]:
        seen, ready = Seen(), asyncio.Event()
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            running = group.create_task(Directory(tmp_path, seen).run(ready), name="source")
            await ready.wait()
            seen.changed.clear()
            with changing(tmp_path):
                for name in ("a", "b"):
                    (tmp_path / f"{name}.yaml").write_text(GOOD.format(name))
            await seen.changed.wait()
            running.cancel()
        return seen.states

    assert asyncio.run(watch()) == [[], ["a", "b"]]


def test_a_change_that_failed_stays_unseen(tmp_path: Path) -> None:
    """Requirement: what a writer could not finish is not seen; its next change is."""
    seen = Seen()
    source = Directory(tmp_path, seen)

    def fail() -> None:
        with changing(tmp_path):
            (tmp_path / "a.yaml").write_text(GOOD.format("half"))
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert not source.scan()
    with changing(tmp_path):
        (tmp_path / "b.yaml").write_text(GOOD.format("whole"))
    assert source.scan()
    assert seen.states == [["half", "whole"]]


def test_a_volume_that_is_turned_over_is_read_anew(tmp_path: Path) -> None:
    """Requirement: links into a directory behind `..data`, as Kubernetes mounts files, are seen to change."""
    for version in ("1", "2"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "a.yaml").write_text(GOOD.format(f"version-{version}"))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")

    async def watch() -> list[list[str]]:
        seen, ready = Seen(), asyncio.Event()
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            running = group.create_task(Directory(tmp_path, seen).run(ready), name="source")
            await ready.wait()
            seen.changed.clear()
            (tmp_path / "..fresh").symlink_to("..2")
            (tmp_path / "..fresh").rename(tmp_path / "..data")
            await seen.changed.wait()
            running.cancel()
        return seen.states

    assert asyncio.run(watch()) == [["version-1"], ["version-2"]]


def test_of_a_document_in_two_files_the_first_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Requirement: the other is said once to be one too many, and takes its place when the first goes."""
    seen = Seen()
    source = Directory(tmp_path, seen)
    for name in ("b", "c"):
        (tmp_path / f"{name}.yaml").write_text(GOOD.format("one"))
    source.scan()
    which = ObjectId("", "Service", "default", "one")
    assert seen.documents[which].meta.origin.file == str(tmp_path / "b.yaml")
    (tmp_path / "a.yaml").write_text(GOOD.format("one") + "---\n" + GOOD.format("two"))
    source.scan()
    assert seen.documents[which].meta.origin.file == str(tmp_path / "a.yaml")
    for name, holder in (("a", "b"), ("b", "c")):
        (tmp_path / f"{name}.yaml").unlink()
        source.scan()
        assert seen.documents[which].meta.origin.file == str(tmp_path / f"{holder}.yaml")
    (tmp_path / "c.yaml").unlink()
    source.scan()
    assert seen.documents == {}
    told = [record.getMessage().rpartition("/")[2] for record in caplog.records]
    assert told == ["b.yaml:1", "a.yaml:1", "a.yaml:1", "b.yaml:1"]


def test_a_missing_directory_is_said_at_the_start(tmp_path: Path) -> None:
    """Requirement: a wrong --objects is an error of the command line."""
    with pytest.raises(WeftError, match="is not a directory"):
        asyncio.run(Directory(tmp_path / "none", Seen()).run(asyncio.Event()))
