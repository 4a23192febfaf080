"""Our own load generator, crates/weft-load: its command lines and what it says. Pure, but for looking where it is."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

VARIABLE = "WEFT_BENCH_LOAD"
"""Names the program; `make bench` sets it."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one run brought; what its mode does not say is 0."""

    requests: int = 0
    failed: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    gigabytes: float = 0.0
    """10^9 bytes of bodies, or of opaque bytes both ways together."""
    seconds: float = 0.0


def program() -> str | None:
    """Its path; None when it was not built."""
    named = os.environ.get(VARIABLE, "")
    return named if os.access(named, os.X_OK) else shutil.which("weft-load")


def command(mode: str, target: str, **options: float) -> list[str]:
    """One run of a mode that asks."""
    words = [word for name, value in options.items() for word in (f"--{name}", f"{value:g}")]
    return [program() or "weft-load", mode, target, *words]


def parse(text: str) -> Said:
    """Read the object on the last line. Raises ValueError when there is none."""
    last = (text.strip().splitlines() or [""])[-1]
    try:
        said = json.loads(last)
        transferred = sum(said.get(name, 0) for name in ("bytes", "sent", "received"))
        return Said(
            said.get("requests", 0),
            said["failed"],
            said.get("p50_ms", 0.0),
            said.get("p99_ms", 0.0),
            transferred / 1e9,
            said.get("seconds", 0.0),
        )
    except (ValueError, TypeError, AttributeError, KeyError) as problem:
        raise ValueError(f"weft-load printed no figures: {text.strip()[-400:]}") from problem


def lines(text: Sequence[str], name: str) -> list[int]:
    """The numbers that its objects give under this name, in order."""
    found = [json.loads(line) for line in text if line.startswith("{")]
    return [int(each[name]) for each in found if name in each]
