"""How Weft says that something is wrong with what a user wrote.

A Problem is a value, not an exception: a reader of files collects several and shows them together.
Nothing here prints or exits; the command line decides how a Problem looks.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with one place in a file.

    `line` and `column` count from 1; 0 means that the place is the file as a whole.
    `code` is stable and made for programs (`unknown-kind`), `reason` and `hint` are sentences for people.
    """

    file: str
    line: int
    column: int
    code: str
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        place = self.file if self.line == 0 else f"{self.file}:{self.line}:{self.column}"
        return f"{place}: {self.reason} [{self.code}]" + (f"\n    hint: {self.hint}" if self.hint else "")


class WeftError(Exception):
    """An error that a user can act upon; `hint` says how."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
