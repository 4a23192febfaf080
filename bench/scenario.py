"""Scenarios: small TOML files that say what is asked of every peer. Reads them; measures nothing."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DIRECTORY = Path(__file__).parent / "scenarios"
Kind = Literal["idle", "start", "saturation"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One question. `order` decides when it is asked: memory at rest comes before any load."""

    name: str
    title: str
    kind: Kind
    order: int
    protocol: Literal["http1", "grpc"] = "http1"
    connections: int = 1
    streams: int = 1


@dataclass(frozen=True, slots=True)
class Effort:
    """How many repetitions, and the seconds of one measured window."""

    runs: int
    seconds: float


def load(names: Sequence[str], directory: Path = DIRECTORY) -> list[Scenario] | str:
    """All scenarios, or those named, in their order; the reason when a name is unknown."""
    found = {path.stem: path for path in directory.glob("*.toml")}
    unknown = sorted(set(names) - found.keys())
    if unknown:
        return f"there is no scenario {', '.join(unknown)}; there are {', '.join(sorted(found))}"
    chosen = names or found
    scenarios = [Scenario(name=name, **tomllib.loads(found[name].read_text(encoding="utf-8"))) for name in chosen]
    return sorted(scenarios, key=lambda each: (each.order, each.name))
