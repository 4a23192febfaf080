"""What the kernel says of a directory."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from weft.sources.notices import Notices

PATIENCE = 20.0


def listening(directory: Path, then: Callable[[Notices], Awaitable[None]]) -> None:
    """Run `then` with what is heard about a directory, once the start's uncertainty is over."""

    async def run() -> None:
        async with asyncio.timeout(PATIENCE):
            with Notices(directory) as notices:
                assert notices.problem == ""
                assert await notices.wait(PATIENCE) is None, "what happened before the watch is unknown"
                await then(notices)

    asyncio.run(run())


async def until(notices: Notices, names: set[str]) -> set[str]:
    """What is heard until these names are among it."""
    heard: set[str] = set()
    while not names <= heard:
        heard |= await notices.wait(PATIENCE) or set()
    return heard


def test_files_that_are_written_renamed_and_removed_are_named(tmp_path: Path) -> None:
    """Requirement: a finished write, both names of a renaming, and a removal are heard; a file being written is not."""
    (tmp_path / "old").touch()

    async def then(notices: Notices) -> None:
        with (tmp_path / "half").open("w") as half:
            half.write("not yet")
            half.flush()
            (tmp_path / "written").write_text("all")
            (tmp_path / "old").rename(tmp_path / "new")
            assert await until(notices, {"written", "old", "new"}) == {"written", "old", "new"}
        (tmp_path / "new").unlink()
        assert await until(notices, {"half", "new"}) == {"half", "new"}

    listening(tmp_path, then)


def test_silence_has_an_end(tmp_path: Path) -> None:
    """Requirement: whoever waits gets nothing in the time that it gave, not a question without an answer."""

    async def then(notices: Notices) -> None:
        assert await notices.wait(0.01) == set()

    listening(tmp_path, then)


@pytest.mark.parametrize("leave", [Path.rmdir, lambda path: path.rename(path.with_name("elsewhere"))])
def test_a_directory_that_comes_back_is_watched_again(tmp_path: Path, leave: Callable[[Path], object]) -> None:
    """Requirement: its going says that anything may have changed; renewed, the watch names files of the new one."""
    objects = tmp_path / "objects"
    objects.mkdir()

    async def then(notices: Notices) -> None:
        leave(objects)
        assert await notices.wait(PATIENCE) is None
        notices.renew()
        assert notices.problem == "No such file or directory"
        objects.mkdir()
        notices.renew()
        assert notices.problem == ""
        assert await notices.wait(PATIENCE) is None
        (objects / "new").touch()
        assert await until(notices, {"new"}) == {"new"}

    listening(objects, then)
