"""Waits until every proxy says of its identity what a step of a rotation needs. Makes no step."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

from weft.identity import standing
from weft.identity.standing import Standing
from weft.lib.errors import WeftError

Ask = Callable[[], Awaitable[Mapping[str, Standing | None]]]
"""Gives what each proxy says of its identity, None where it does not."""


async def confirmed(
    ask: Ask, ready: Callable[[Standing], bool], what: str, patience: float, hint: str
) -> AsyncGenerator[str, None]:
    """Say how many it is true of whenever that changes, until it is of all.

    Raises WeftError that names those who did not come along in `patience` seconds.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    shown = -1
    while True:
        found = await ask()
        lacking = standing.lacking(found, ready)
        if len(lacking) != shown:
            yield f"  {len(found) - len(lacking)} of {len(found)}: {what}"
            shown = len(lacking)
        if not lacking:
            return
        if loop.time() >= end:
            silent = [key for key in lacking if found[key] is None]
            raise WeftError(
                f"the next step would cut off {', '.join(lacking)}"
                + (f" ({', '.join(silent)} did not answer)" if silent else ""),
                hint,
            )
        await asyncio.sleep(_LOOK_SECONDS)


_LOOK_SECONDS = 0.5
