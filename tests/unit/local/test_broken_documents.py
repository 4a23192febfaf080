"""Every problem of a document has code, file, line, column, reason and hint; every code has an explanation."""

import ast
import re
from pathlib import Path

import pytest
from tests.unit.local.broken_documents import BROKEN, RUN, W

import weft
from weft.lib.errors import Problem
from weft.local import reading
from weft.resources import codes


def problems(directory: Path, text: str) -> list[Problem]:
    file = directory / "mesh.yaml"
    file.write_text(text)
    found = reading.read([file])
    assert isinstance(found, list), "the document is good"
    return found


@pytest.mark.parametrize(("code", "text", "reason", "hint"), BROKEN)
def test_a_broken_document_is_told_with_its_place(tmp_path: Path, code: str, text: str, reason: str, hint: str) -> None:
    """Requirement: each of these has exactly its problems: the right file, line, code, reason and hint."""
    marked = [number for number, line in enumerate(text.splitlines(), 1) if "#!" in line]
    found = problems(tmp_path, text)
    assert [problem.code for problem in found] == [code] * max(len(marked), 1)
    for problem in found:
        assert problem.file == str(tmp_path / "mesh.yaml")
        assert reason in problem.reason
        assert hint in problem.hint
        assert problem.column > 0 or not problem.line
    assert [problem.line for problem in found] == marked or not marked


def test_the_column_is_where_the_key_starts(tmp_path: Path) -> None:
    """Requirement: columns count from 1, in characters."""
    (found,) = problems(tmp_path, W + "metadata: {name: web, labels: {größe: ok}}\nspec: {command: [ä], replica: 2}\n")
    assert (found.line, found.column) == (4, 22)


def test_everything_is_told_at_once(tmp_path: Path) -> None:
    """Requirement: problems of several documents, fields and items of a list, also behind a broken text."""
    text = (
        RUN
        + "  replicas: many #!\n  ports:\n"
        + "  - {nam: a, port: 1} #!\n  - {name: b} #!\n  - {port: 70000} #!\nextra: 1 #!\n"
        + "---\na: [1\nb: 2 #!\n---\n"
        + RUN.replace("name: web", "name: other")
        + "  dependsOn: [web, nobody] #!\n---\nkind: Servce #!\napiVersion: v1\n"
    )
    marked = [number for number, line in enumerate(text.splitlines(), 1) if "#!" in line]
    assert [problem.line for problem in problems(tmp_path, text)] == marked


def test_a_line_of_an_env_file_is_told_in_that_file(tmp_path: Path) -> None:
    """Requirement: the place is where the mistake is."""
    (tmp_path / "variables.env").write_text("# good\nA=1\n\nGREETING hello\n")
    (found,) = problems(tmp_path, RUN + "  envFile: variables.env\n")
    assert (found.file, found.line, found.code) == (str(tmp_path / "variables.env"), 4, "bad-env-file")


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    """Requirement: an empty directory, a missing file and one that is no text have a problem each."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe4\n")
    found = reading.read([tmp_path / "empty", tmp_path / "none.yaml", tmp_path / "latin.yaml"])
    assert isinstance(found, list)
    assert [problem.code for problem in found] == ["no-files", "unreadable", "unreadable"]
    assert all(problem.hint for problem in found)


def test_every_code_in_use_is_explained_and_none_is_made_up() -> None:
    """Requirement: a code that the sources give a problem has a section on the page, and no section is without use."""
    used = set().union(*(codes_in(file) for file in Path(weft.__file__).parent.rglob("*.py")))
    assert used == set(codes.CODES)


def codes_in(file: Path) -> set[str]:
    """What calls that make problems are given as a code."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    named = [(node, ast.unparse(node.func).rpartition(".")[2].lower()) for node in calls]
    return {
        str(argument.value)
        for node, name in named
        if name in ("problem", "report", "_failed")
        for argument in node.args[1:4]
        if isinstance(argument, ast.Constant) and re.fullmatch(r"[a-z]+(-[a-z]+)*", str(argument.value))
    }
