"""Reads what callgrind wrote: instructions and system calls of a program, less those of its crypto libraries. Pure.

Crypto is left out with everything that it calls, by the calls that lead into it: which of its routines run, and how
long they are, is the business of the libraries and of the processor (AES and vector instructions).
"""

from collections.abc import Iterable
from dataclasses import dataclass

CRYPTO = ("aws_lc_", "ring::", "ring_core_")
"""What the names of all functions begin with that the crypto libraries offer; those inside may be called anything."""

EVENTS = ("Ir", "sysCount")


@dataclass(frozen=True, slots=True)
class Counts:
    """Of everything that was counted, or of one request."""

    instructions: float
    system_calls: float

    def of_each(self, requests: int) -> "Counts":
        """The share of one of so many requests, as precise as the count: instructions whole, calls to a hundredth."""
        return Counts(round(self.instructions / requests), round(self.system_calls / requests, 2))


def counts(lines: Iterable[str]) -> Counts:
    """The counts of a profile without crypto. Raises ValueError when it is none, or counted other events."""
    reader = _Reader()
    for line in lines:
        reader.take(line.rstrip("\n"))
    if reader.columns is None:
        raise ValueError(f"no callgrind profile with the events {', '.join(EVENTS)}")
    instructions, system_calls = (own - crypto for own, crypto in zip(reader.own, reader.crypto, strict=True))
    return Counts(instructions, system_calls)


class _Reader:
    """A profile is lines of costs, each below the name of its function. A name is said once, then by its number."""

    def __init__(self) -> None:
        self.columns: tuple[int, ...] | None = None
        self.own = [0, 0]
        self.crypto = [0, 0]
        self._names: dict[str, str] = {}
        self._function = ""
        self._called: str | None = None
        """The callee of a call of which the next line says the cost, which is no cost of the function's own."""

    def take(self, line: str) -> None:
        key, found, value = line.partition("=")
        if line.startswith("events: "):
            events = line.split()[1:]
            if set(EVENTS) <= set(events):
                self.columns = tuple(events.index(event) for event in EVENTS)
        elif found and key == "fn":
            self._function = self._name(value)
        elif found and key == "cfn":
            self._called = self._name(value)
        elif line[:1] in _COSTS:
            self._cost([int(cost) for cost in line.split()[1:]])

    def _name(self, said: str) -> str:
        number, _, name = said.partition(" ")
        return self._names.setdefault(number, name)

    def _cost(self, costs: list[int]) -> None:
        called, self._called = self._called, None
        if called is None:
            _add(self.own, self._counted(costs))
        elif called.startswith(CRYPTO) and not self._function.startswith(CRYPTO):
            _add(self.crypto, self._counted(costs))

    def _counted(self, costs: list[int]) -> list[int]:
        """The costs of our events; zeros at a line's end are not written."""
        return [costs[column] if column < len(costs) else 0 for column in self.columns or ()]


_COSTS = frozenset("0123456789+-*")
"""What a line of costs begins with: a line number, or its distance from the last."""


def _add(total: list[int], more: list[int]) -> None:
    for place, value in enumerate(more):
        total[place] += value
