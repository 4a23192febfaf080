"""From a tree to a typed value by msgspec, with each complaint mapped back to its line.

msgspec stops at the first error. Here the offending value is taken out and the rest is read again, so that a user sees
everything that is wrong with a document at once.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from weft.lib.errors import Problem
from weft.resources import shapes
from weft.resources.tree import Path, Tree

T = TypeVar("T")


def decode(tree: Tree, written: type[T], known: Iterable[str] = ()) -> T | list[Problem]:
    """`tree` as a `written`, or everything that keeps it from being one. `known` are field names, for close matches."""
    value = _Shrinking(_without_nulls(tree.value))
    problems: list[Problem] = []
    for _ in range(MAX_PROBLEMS):
        try:
            result = msgspec.convert(value.value, written, strict=True)
        except msgspec.ValidationError as error:
            reason, path, extra = _understand(str(error))
            told = _Told(value.original(path), reason, extra)
            if not value.caused(told):
                problems.append(_problem(tree, told, written, known))
            if not value.remove(path if told.missing or extra is None else (*path, extra), told.target):
                break
        else:
            return problems or result
    return problems


@dataclass(frozen=True, slots=True)
class _Told:
    """A complaint of msgspec: where, and the name of the field when it is about one."""

    path: Path
    reason: str
    extra: str | None

    @property
    def missing(self) -> bool:
        return self.extra is not None and "unknown" not in self.reason

    @property
    def target(self) -> Path:
        return self.path if self.extra is None else (*self.path, self.extra)


class _Shrinking:
    """A document from which the parts complained about are taken out, one after the other."""

    def __init__(self, value: object) -> None:
        self.value = value
        self._removed: list[Path] = []
        self._kept: dict[Path, list[int]] = {}
        """Original path of a list -> the original index of each item that is left."""

    def original(self, path: Path) -> Path:
        """Where a value of what is left stood at first."""
        before: Path = ()
        for step in path:
            left = self._kept.get(before)
            before = (*before, left[step] if left is not None and isinstance(step, int) else step)
        return before

    def caused(self, told: _Told) -> bool:
        """Whether the complaint is only about what was taken out: a field, or a list that became too short."""
        if told.extra is not None:
            return told.missing and told.target in self._removed
        return any(len(path) > len(told.path) and path[: len(told.path)] == told.path for path in self._removed)

    def remove(self, path: Path, target: Path) -> bool:
        """Take out what is at `path` now; False when that is everything. `target` is what it was about at first."""
        if not path:
            return False
        inside: Any = self.value
        for step in path[:-1]:
            inside = inside[step]
        before = self.original(path)
        self._removed += [before, target]
        if isinstance(inside, list):
            index = path[-1]
            assert isinstance(index, int)
            self._kept.setdefault(before[:-1], list(range(len(inside)))).pop(index)
            del inside[index]
            return True
        return isinstance(inside, dict) and inside.pop(path[-1], self) is not self


def _without_nulls(value: object, texts: bool = False) -> object:
    """A copy in which a null field is absent, as Kubernetes has it; in text-to-text mappings it stays, as an error."""
    if isinstance(value, dict):
        return {k: _without_nulls(v, k in _TEXTS) for k, v in value.items() if v is not None or texts}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def close(word: str, known: Iterable[str]) -> str:
    """`did you mean ...?` when one of `known` is near, else nothing."""
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""


def _problem(tree: Tree, told: _Told, written: type, known: Iterable[str]) -> Problem:
    path, extra, where = told.path, told.extra, show(told.path)
    here = shapes.fields_at(written, path)
    if told.missing:
        place = f" in `{where}`" if where else ""
        takes = f"`{where}` takes" if where else "it takes"
        return tree.problem(path, "missing-field", f"`{extra}` is missing{place}", f"{takes} {', '.join(here)}")
    if extra is not None:
        reason = f"`{show(told.target)}` is not a field"
        return tree.problem(told.target, "unknown-field", reason, _instead(written, extra, here, known))
    expected = shapes.expected_at(written, path)
    hint = 'put it in quotes ("...")' if expected == "a text" and _UNQUOTED.search(told.reason) else ""
    words = plain_words(told.reason)
    return tree.problem(path, "wrong-value", f"`{where}`: {words}" if where else words, hint or expected)


def _instead(written: type, extra: str, here: Iterable[str], known: Iterable[str]) -> str:
    """What to write instead of a field that is not there."""
    elsewhere = shapes.places_of(written, extra)
    if elsewhere and not close(extra, here):
        return f"`{extra}` is a field of {' and of '.join(elsewhere)}"
    return close(extra, here) or close(extra, known) or f"the fields here are {', '.join(here)}"


def plain_words(reason: str) -> str:
    """Msgspec's sentence with a user's words for the types."""
    words = reason[0].lower() + reason[1:]
    for name, ours in _TYPES.items():
        words = words.replace(f"`{name}`", ours)
    return words.replace(" | ", " or ")


def _understand(message: str) -> tuple[str, Path, str | None]:
    """Msgspec's words, path and, when the complaint is about one, the name of the field."""
    reason, _, where = message.partition(" - at `")
    path = _path(where.rstrip("`"))
    field = _FIELD.search(reason)
    return reason, path, field.group(1) if field else None


def _path(text: str) -> Path:
    path: list[str | int] = []
    for name, index in _STEP.findall(text.removeprefix("key in ").lstrip("`$")):
        if index == "...":
            break  # msgspec does not say which value of a mapping: the mapping's own line is the nearest
        path.append(int(index) if index else name)
    return tuple(path)


def show(path: Path) -> str:
    """A path as people write it: `spec.ports[0].port`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def field_names(*written: type[msgspec.Struct]) -> frozenset[str]:
    """The names of all fields of these shapes, as users write them."""
    return frozenset(name for shape in written for name in shape.__struct_encode_fields__)


def mapping_problems(tree: Tree, path: Path, value: Mapping[str, object]) -> list[Problem]:
    """One Problem for each value of a text-to-text mapping that is not a text, at its own line."""
    return [
        tree.problem(
            (*path, key),
            "wrong-value",
            f"`{show((*path, key))}`: expected a text, got {_name(item)}",
            "leave the key out" if item is None else f'write "{str(item).lower() if isinstance(item, bool) else item}"',
        )
        for key, item in value.items()
        if not isinstance(item, str)
    ]


def _name(value: object) -> str:
    if value is None:
        return "nothing"
    names = {bool: "a boolean", int: "a number", float: "a number", dict: "a mapping", list: "a list"}
    return names.get(type(value), type(value).__name__)


_FIELD = re.compile(r"field `([^`]+)`")
_UNQUOTED = re.compile(r"got `(int|float|bool)`")
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
_STEP = re.compile(r"\.([^.\[\]`]+)|\[(\d+|\.\.\.)\]")
_TEXTS = frozenset({"env", "labels", "annotations", "selector", "matchLabels"})
MAX_PROBLEMS = 20
