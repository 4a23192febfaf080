"""The annotations `retry.linkerd.io/*` and `timeout.linkerd.io/*` of a Service or a route.

Each value is checked here, with the line that it stands on. Which document's count is not decided here.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from weft.lib.errors import Problem
from weft.model.retry import Patience, Retry, Timeouts
from weft.resources.tree import Tree

T = TypeVar("T")


def patience(tree: Tree, kind: str, annotations: Mapping[str, object]) -> tuple[Patience, list[Problem]]:
    """What a document of this kind says, and what is wrong with it."""
    reader = _Reader(tree, {key: str(value) for key, value in annotations.items()})
    if kind != "Service":
        # It would have no effect, and its author would not learn of it.
        misplaced = f"{RETRY}{'http' if kind == 'GRPCRoute' else 'grpc'}"
        if misplaced in annotations:
            reader.report(
                misplaced, f"`{misplaced}` says nothing on a {kind}", "the other of http and grpc is meant for it"
            )
    return Patience(_timeouts(reader), _retry(reader)), reader.problems


def seconds(text: str) -> float | None:
    """A whole number with a unit from ms to d, or 0; None when it is not one."""
    match = _DURATION.fullmatch(text)
    return int(match[1]) * _UNITS[match[2]] if match else (0.0 if text == "0" else None)


class _Reader:
    """Reads annotations; what is wrong with them goes to `problems`."""

    def __init__(self, tree: Tree, annotations: Mapping[str, str]) -> None:
        self.tree, self.annotations = tree, annotations
        self.problems: list[Problem] = []

    def value(self, key: str, parse: Callable[[str], T | None], hint: str) -> T | None:
        text = self.annotations.get(key)
        if text is None:
            return None
        value = parse(text.strip())
        if value is None:
            self.report(key, f"`{key}`: `{text}` cannot be read", hint)
        return value

    def report(self, key: str, reason: str, hint: str) -> None:
        self.problems.append(self.tree.problem(("metadata", "annotations", key), "bad-annotation", reason, hint))


def _timeouts(reader: _Reader) -> Timeouts | None:
    request, response, idle = (reader.value(f"{TIMEOUT}{name}", seconds, _TIME) for name in _TIMEOUTS)
    if all(each is None for each in (request, response, idle)):
        return None
    return Timeouts(request or None, response or None, idle or None)  # zero lifts one, as in the Gateway API


def _retry(reader: _Reader) -> Retry | None:
    statuses = reader.value(f"{RETRY}http", _statuses, "for example 5xx, gateway-error or 429,500-504")
    codes = reader.value(f"{RETRY}grpc", _codes, f"some of {', '.join(_GRPC)}")
    limit = reader.value(f"{RETRY}limit", _limit, "a whole number from 0 to 65535")
    timeout = reader.value(f"{RETRY}timeout", seconds, _TIME)
    if all(each is None for each in (statuses, codes, limit, timeout)):
        return None
    return Retry(statuses or (), codes or (), 1 if limit is None else limit, timeout or None)


def _statuses(text: str) -> tuple[tuple[int, int], ...] | None:
    ranges = []
    for item in text.split(","):
        match = _RANGE.fullmatch(item.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else _NAMED.get(item.strip(), (0, 0))
        if not 100 <= first <= last <= 599:
            return None
        ranges.append((first, last))
    return tuple(ranges)


def _codes(text: str) -> tuple[int, ...] | None:
    names = [item.strip() for item in text.split(",")]
    if any(name not in _GRPC for name in names):
        return None
    return tuple(sorted({_GRPC[name] for name in names}))


def _limit(text: str) -> int | None:
    return int(text) if text.isdecimal() and int(text) <= 65535 else None


RETRY = "retry.linkerd.io/"
TIMEOUT = "timeout.linkerd.io/"
_TIMEOUTS = ("request", "response", "idle")
_TIME = "a whole number and ms, s, m, h or d, such as 500ms; 0 means none"
_DURATION = re.compile(r"([0-9]{1,15})(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RANGE = re.compile(r"([0-9]{3})(?:\s*-\s*([0-9]{3}))?")
_NAMED = {"5xx": (500, 599), "gateway-error": (502, 504)}
_GRPC = {"cancelled": 1, "deadline-exceeded": 4, "resource-exhausted": 8, "internal": 13, "unavailable": 14}
