"""The token of a replica stays good whatever the clock does."""

import asyncio
from datetime import UTC, datetime, timedelta

from weft.identity.tokens import LIFE
from weft.local.control import FreshToken

START = datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_token_is_due_by_the_clock_on_the_wall() -> None:
    """Requirement: a clock that is set forward or back by more than a time service does, or that went on while the
    machine slept, brings another token at the next look; while it runs evenly there is one for two thirds of its life.
    """
    minted: list[datetime] = []
    looked = asyncio.Event()
    times = [
        START,
        START + timedelta(minutes=39),
        START + timedelta(minutes=40),  # due
        START + timedelta(minutes=39, seconds=56),  # a time service
        START + timedelta(hours=20),  # set forward
        START - timedelta(hours=3),  # set back
        START - timedelta(hours=2, minutes=59),
    ]
    left = iter(times)

    def now() -> datetime:
        if (moment := next(left, None)) is None:
            looked.set()
            return times[-1]
        return moment

    fresh = FreshToken(minted.append, now)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        keeping = group.create_task(fresh.keep(0.001), name="keep the token fresh")
        await looked.wait()
        keeping.cancel()
    assert minted == [times[0], times[2], times[4], times[5]]
    assert all(moment - minted[0] < LIFE for moment in times[:2])
