"""One replica's own decisions; its processes and its network are the end-to-end tests' business."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from weft.local import fabric
from weft.local.plan import Replica
from weft.local.replica import Running, Surroundings


def test_the_way_out_is_opened_once(monkeypatch: pytest.MonkeyPatch):
    """Requirement: a replica's start and the supervisor's look at the same moment open the way to the host once.

    Bug: both opened it, the second met its own route ("File exists"), and the whole mesh ended. The kernel's part is
    stood in for, as only here the two can be made to meet.
    """
    opened = []

    async def open_way(port: fabric.Port) -> None:
        opened.append(port)
        await asyncio.sleep(0)

    async def together() -> None:
        port = cast(fabric.Port, SimpleNamespace())
        replica = cast(Replica, SimpleNamespace(egress=True))
        running = Running(replica, 1, cast(Surroundings, SimpleNamespace()), None, lambda: "", port=port)
        await asyncio.gather(running.follow_egress(), running.follow_egress())

    monkeypatch.setattr(fabric, "open_way", open_way)
    asyncio.run(together())
    assert len(opened) == 1
