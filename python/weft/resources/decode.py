"""From a tree to a typed value by msgspec, with each complaint mapped back to its line.

msgspec stops at the first error. Here the offending value is taken out and the rest is read again, so that a user sees
everything that is wrong with a document at once.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from weft.lib.errors import Problem
from weft.resources.tree import Path, Tree

T = TypeVar("T")


def decode(tree: Tree, written: type[T], known: Iterable[str] = ()) -> T | list[Problem]:
    """`tree` as a `written`, or everything that keeps it from being one. `known` are field names, for close matches."""
    value = _without_nulls(tree.value)
    problems: list[Problem] = []
    removed: set[Path] = set()
    for _ in range(MAX_PROBLEMS):
        try:
            result = msgspec.convert(value, written, strict=True)
        except msgspec.ValidationError as error:
            reason, path, extra = _understand(str(error), value)
            missing = path if extra is None or "unknown" in reason else (*path, extra)
            if missing in removed:
                break
            problems.append(_problem(tree, reason, path, extra, known))
            target = path if extra is None else (*path, extra)
            if "missing" in reason or not _remove(value, target):
                break
            removed.add(target)
        else:
            return problems or result
    return problems


def _without_nulls(value: object, texts: bool = False) -> object:
    """A copy in which a null field is absent, as Kubernetes has it; in text-to-text mappings it stays, as an error."""
    if isinstance(value, dict):
        return {k: _without_nulls(v, k in _TEXTS) for k, v in value.items() if v is not None or texts}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def close(word: str, known: Iterable[str]) -> str:
    """`did you mean ...?` when one of `known` is near, else nothing."""
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""


def _problem(tree: Tree, reason: str, path: Path, extra: str | None, known: Iterable[str]) -> Problem:
    where = show(path)
    if extra is not None and "unknown" in reason:
        reason = f"`{show((*path, extra))}` is not a field"
        return tree.problem((*path, extra), "unknown-field", reason, close(extra, known))
    if extra is not None:
        place = f" in `{where}`" if where else ""
        return tree.problem(path, "missing-field", f"`{extra}` is missing{place}")
    hint = 'put it in quotes ("...")' if reason.startswith("Expected `str") and "got `null`" not in reason else ""
    words = reason[0].lower() + reason[1:]
    return tree.problem(path, "wrong-value", f"`{where}`: {words}" if where else words, hint)


def _understand(message: str, value: object) -> tuple[str, Path, str | None]:
    """Msgspec's words, path and, when the complaint is about one, the name of the field."""
    reason, _, where = message.partition(" - at `")
    path = _path(where.rstrip("`"), value)
    field = _FIELD.search(reason)
    return reason, path, field.group(1) if field else None


def _path(text: str, value: object) -> Path:
    path: list[str | int] = []
    for name, index in _STEP.findall(text.removeprefix("key in ").lstrip("`$")):
        if index == "...":
            break  # msgspec does not say which value of a mapping: the mapping's own line is the nearest
        path.append(int(index) if index else name)
    return tuple(path)


def _remove(value: object, path: Path) -> bool:
    for step in path[:-1]:
        value = value[step] if isinstance(value, (dict, list)) else None  # type: ignore[index]
    if not path or not isinstance(value, (dict, list)):
        return False
    if isinstance(value, list):
        return False  # its neighbours' places would move
    return value.pop(path[-1], None) is not None


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
_STEP = re.compile(r"\.([^.\[\]`]+)|\[(\d+|\.\.\.)\]")
_TEXTS = frozenset({"env", "labels", "annotations", "selector", "matchLabels"})
MAX_PROBLEMS = 20
