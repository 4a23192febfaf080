"""Starting tasks: always in a group that owns them, always with a name that a log line can show."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


def start(group: asyncio.TaskGroup, name: str, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
    """Runs `work` in `group`; the group waits for it and ends with it when it fails."""
    return group.create_task(work, name=name)
