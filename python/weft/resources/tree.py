"""YAML (and JSON, its subset) as plain values together with the place each was written at.

Composes nodes instead of loading values, because a loader forgets lines, accepts a key twice, and reads `on` as True
and `9000:22` as a number in base 60. Scalars follow YAML 1.2: only `true` and `false` are booleans.
Knows nothing about kinds.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from weft.lib.errors import Problem

Path = tuple[str | int, ...]
"""Where a value is inside a document, from its root: `("spec", "ports", 0, "port")`."""


@dataclass(slots=True)
class Tree:
    """One document. `places` has line and column of every key and item, from 1; `problems` are its syntax errors."""

    file: str
    value: object
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, code: str, reason: str, hint: str = "") -> Problem:
        """A Problem at `path`, or at the nearest place around it that was written."""
        while path and path not in self.places:
            path = path[:-1]
        line, column = self.places.get(path, (0, 0))
        return Problem(self.file, line, column, code, reason, hint)

    def line(self, path: Path = ()) -> int:
        """The line on which the value at `path` starts."""
        return self.places.get(path, (0, 0))[0]


def read(text: str, file: str) -> Iterator[Tree]:
    """The documents of a stream; empty ones are left out. A syntax error ends the stream with a Tree that says so."""
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == _NULL):
                continue
            tree = Tree(file, None)
            tree.value = _Walk(tree).value(node, (), ())
            yield tree
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        words = ", ".join(part for part in (error.problem, error.context) if part)
        yield Tree(file, None, problems=[Problem(file, line, column, "syntax", f"not valid YAML: {words}")])
    except yaml.YAMLError as error:
        yield Tree(file, None, problems=[Problem(file, 0, 0, "syntax", f"not valid YAML: {error}")])
    finally:
        loader.dispose()


class _Walk:
    """Turns one document's nodes into values; bounded, so that aliases of aliases cannot fill the memory."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.nodes = 0

    def value(self, node: yaml.Node, path: Path, around: tuple[int, ...]) -> object:
        self.nodes += 1
        self.tree.places.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        if self.nodes > MAX_NODES or len(path) > MAX_DEPTH or id(node) in around:
            if not any(problem.code == "too-large" for problem in self.tree.problems):
                reason = f"more than {MAX_NODES} values, deeper than {MAX_DEPTH}, or contains itself"
                self.tree.problems.append(self.tree.problem(path, "too-large", reason))
            return None
        around = (*around, id(node))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, around)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index), around) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return _scalar(node)

    def mapping(self, node: yaml.MappingNode, path: Path, around: tuple[int, ...]) -> dict[str, object]:
        result: dict[str, object] = {}
        inherited: dict[str, object] = {}
        for key, item in node.value:
            line, column = key.start_mark.line + 1, key.start_mark.column + 1
            if not isinstance(key, yaml.ScalarNode):
                self.tree.problems.append(Problem(self.tree.file, line, column, "bad-key", "a key must be a text"))
                continue
            name = str(key.value)
            if name == "<<" and not key.style:
                for merged in item.value if isinstance(item, yaml.SequenceNode) else [item]:
                    values = self.value(merged, path, around)
                    if isinstance(values, dict):
                        inherited = {**values, **inherited}
                continue
            if name in result:
                first = self.tree.line((*path, name))
                reason, hint = f"`{name}` is already on line {first}", "keep one of the two"
                self.tree.problems.append(Problem(self.tree.file, line, column, "duplicate-key", reason, hint))
                continue
            self.tree.places[(*path, name)] = (line, column)
            result[name] = self.value(item, (*path, name), around)
        return {**inherited, **result}


def _scalar(node: yaml.ScalarNode) -> object:
    text = str(node.value)
    if node.style or node.tag == _STR:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if text.startswith("0x") and node.tag == _INT_TAG:
        return int(text, 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    return _WORDS.get(text, text)


_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = "tag:yaml.org,2002:null"
_STR = "tag:yaml.org,2002:str"
_INT_TAG = "tag:yaml.org,2002:int"
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
MAX_NODES = 200_000
MAX_DEPTH = 64
