"""Follows an issuer that was given in a directory: what changes there comes into force by a rotation, step by step.

What cannot be used is said once, with file and hint, and changes nothing; a rotation that somebody does not follow is
tried again.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from weft.identity import files
from weft.lib.errors import WeftError
from weft.local.credentials import Credentials, Given
from weft.local.rotation import Rotation


async def follow(directory: Path, credentials: Credentials, rotation: Rotation, say: Callable[[str], None]) -> None:
    """Until cancelled."""
    seen = files.Layout.of(directory).stamp()
    last = ""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        stamp = files.Layout.of(directory).stamp()
        if stamp == seen:
            continue
        try:
            try:
                given = Given.read(directory)
            except WeftError:
                seen = stamp  # the same files will not get better
                raise
            same = set(given.anchors) == set(credentials.trusted)
            steps = rotation.issuer if same else rotation.anchors
            async for line in steps(directory, PATIENCE_SECONDS):
                say(line)
            seen, last = stamp, ""
        except WeftError as problem:
            words = f"the issuer in {directory} is not followed: {problem.reason}\n    hint: {problem.hint}"
            if words != last:
                say(words)
            last = words


LOOK_SECONDS = 5.0
PATIENCE_SECONDS = 60.0
