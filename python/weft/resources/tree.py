"""YAML (and JSON, its subset) as plain values together with the place each was written at.

Composes nodes instead of loading values, because a loader forgets lines, accepts a key twice, and reads `on` as True
and `9000:22` as a number in base 60. Scalars follow YAML 1.2: only `true` and `false` are booleans.
Knows nothing about kinds.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

import yaml

from weft.lib.errors import Problem
from weft.resources.codes import problem

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
        return problem(self.file, line, column, code, reason, hint)

    def line(self, path: Path = ()) -> int:
        """The line on which the value at `path` starts."""
        return self.places.get(path, (0, 0))[0]


def read(text: str, file: str, above: int = 0) -> Iterator[Tree]:
    """The documents of a stream but empty ones. A syntax error is a Tree that says so; the next document follows.

    `above` is how many lines of the file stand before the text.
    """
    for _ in range(MAX_SYNTAX_ERRORS):
        broken = yield from _until_broken(text, file, above)
        if broken is None:
            return
        yield broken
        lines = text.split("\n")
        error_line = max((problem.line for problem in broken.problems), default=0) - above
        following = next((at for at, line in enumerate(lines) if at >= error_line and begins(line)), None)
        if error_line <= 0 or following is None:
            return
        above, text = above + following, "\n".join(lines[following:])


def begins(line: str) -> bool:
    """Whether a document begins with this line."""
    return line.rstrip() == "---" or line.startswith("--- ")


def _until_broken(text: str, file: str, above: int) -> Generator[Tree, None, Tree | None]:
    """The documents as far as they can be read; returns what says why not further, or None at the end."""
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == _NULL):
                continue
            tree = Tree(file, None)
            tree.value = _Walk(tree, above).value(node, (), ())
            yield tree
    except yaml.MarkedYAMLError as error:
        # Of a quote that nobody closes, the opening one is the place, not the end of the text.
        unclosed = "unexpected" in str(error.problem) and error.context_mark is not None
        mark = error.context_mark if unclosed else error.problem_mark or error.context_mark
        line, column = (above + mark.line + 1, mark.column + 1) if mark else (0, 0)
        words = ", ".join(part for part in (error.problem, error.context) if part)
        return Tree(file, None, problems=[problem(file, line, column, "syntax", f"not valid YAML: {words}")])
    except yaml.YAMLError as error:
        return Tree(file, None, problems=[problem(file, 0, 0, "syntax", f"not valid YAML: {error}")])
    finally:
        loader.dispose()
    return None


class _Walk:
    """Turns one document's nodes into values; bounded, so that aliases of aliases cannot fill the memory."""

    def __init__(self, tree: Tree, above: int) -> None:
        self.tree = tree
        self.first = above + 1
        self.nodes = 0

    def value(self, node: yaml.Node, path: Path, around: tuple[int, ...]) -> object:
        self.nodes += 1
        self.tree.places.setdefault(path, (self.first + node.start_mark.line, node.start_mark.column + 1))
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
        """What is merged in (`<<`) comes first, so that the places of what is written here win."""
        own = [(key, item) for key, item in node.value if not _merges(key)]
        result = self.merged([item for key, item in node.value if _merges(key)], path, around)
        seen: set[str] = set()
        for key, item in own:
            line, column = self.first + key.start_mark.line, key.start_mark.column + 1
            if not isinstance(key, yaml.ScalarNode):
                self.tree.problems.append(problem(self.tree.file, line, column, "bad-key", "a key must be a text"))
                continue
            name = str(key.value)
            if name in seen:
                first = self.tree.line((*path, name))
                reason = f"`{name}` is already on line {first}"
                self.tree.problems.append(problem(self.tree.file, line, column, "duplicate-key", reason))
                continue
            seen.add(name)
            if isinstance(result.get(name), (dict, list)):
                self.forget((*path, name))
            self.tree.places[(*path, name)] = (line, column)
            result[name] = self.value(item, (*path, name), around)
        return result

    def merged(self, items: list[yaml.Node], path: Path, around: tuple[int, ...]) -> dict[str, object]:
        """The mappings that `<<` names, the first of a list winning as YAML has it."""
        result: dict[str, object] = {}
        nodes = [each for item in items for each in (item.value if isinstance(item, yaml.SequenceNode) else [item])]
        for node in reversed(nodes):
            values = self.value(node, path, around)
            if isinstance(values, dict):
                result.update(values)
        return result

    def forget(self, path: Path) -> None:
        """Drop the places of a value that is overridden."""
        for known in [each for each in self.tree.places if each[: len(path)] == path]:
            del self.tree.places[known]


def _merges(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.value == "<<" and not key.style


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
MAX_SYNTAX_ERRORS = 20
