"""Durations of options, in Go's form: `24h`, `1h30m`, `20s`, `500ms`."""

from __future__ import annotations

import re
from datetime import timedelta

import click


class _Duration(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read it, or fail with what would have been right."""
        if isinstance(value, timedelta):
            return value
        parts = _PART.findall(value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            self.fail(f"`{value}` is not a duration such as 24h, 1h30m or 20s", param, ctx)
        return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())


_UNITS = {"h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}
_PART = re.compile(r"([0-9]{1,9})(h|ms|m|s)")
DURATION = _Duration()
