"""The one place that reads the wall clock. Whoever needs time takes a `Clock`, so that tests hand in their own."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Answers the present moment, always with a time zone."""


def system() -> datetime:
    """The machine's clock, in UTC."""
    return datetime.now(UTC)
