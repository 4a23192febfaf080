"""Waiting for a condition instead of for a while. Never decides what the condition is."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds: generous, since only a failing test waits for that long."""
PAUSE = 0.02


def wait_until(condition: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """The first true value of `condition`. Raises TimeoutError that says `what` did not come to be."""
    give_up = time.monotonic() + patience
    while not (found := condition()):
        if time.monotonic() > give_up:
            raise TimeoutError(f"after {patience:g} s still not so: {what}")
        time.sleep(PAUSE)
    return found
