"""Reading a file again."""

from collections.abc import Generator
from pathlib import Path

from weft.resources import Loaded, Rereading

DOCUMENT = "apiVersion: v1\nkind: Service\nmetadata: {{name: {}}}\nspec: {{clusterIP: {}}}\n"


def read(again: Rereading) -> Loaded:
    """Read to the end."""
    found: list[Loaded] = []

    def steps() -> Generator[None, None, None]:
        found.append((yield from again.read()))

    list(steps())
    return found[0]


def test_only_what_was_edited_is_read_again(tmp_path: Path) -> None:
    """Requirement: documents that stand as they stood are the very values of before; others know their line."""
    file = tmp_path / "mesh.yaml"
    again = Rereading(file)

    def write(*texts: str) -> Loaded:
        file.write_text("---\n".join(texts))
        return read(again)

    one, two, three = (DOCUMENT.format(name, "10.0.0.1") for name in ("one", "two", "three"))
    first = write(one, two, three)
    edited = write(one, DOCUMENT.format("two", "10.0.0.2"), three)
    assert [each is before for each, before in zip(edited.documents, first.documents, strict=True)] == [
        True,
        False,
        True,
    ]
    moved = write(one, three)
    assert moved.documents[0] is first.documents[0]
    assert [str(each.meta.origin) for each in moved.documents] == [f"{file}:1", f"{file}:6"]


def test_nothing_is_kept_of_a_file_with_problems(tmp_path: Path) -> None:
    """Requirement: a file that turns bad is read as a whole, and as a whole again when it is good."""
    file = tmp_path / "mesh.yaml"
    again = Rereading(file)
    file.write_text(DOCUMENT.format("one", "10.0.0.1"))
    (before,) = read(again).documents
    file.write_text(DOCUMENT.format("one", "10.0.0.1") + "---\nkind: [")
    bad = read(again)
    assert [problem.code for problem in bad.problems] == ["syntax"]
    assert bad.documents == (before,)
    file.write_text(DOCUMENT.format("one", "10.0.0.1"))
    (after,) = read(again).documents
    assert after == before
    assert after is not before
