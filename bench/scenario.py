"""Scenarios: small TOML files that say what is asked of every peer. Reads them; measures nothing."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DIRECTORY = Path(__file__).parent / "scenarios"
Kind = Literal[
    "idle", "start", "held", "destinations", "series", "saturation", "rate", "one", "bulk", "stream", "connect"
]
Route = Literal["http1", "grpc", "stream", "tcp", "hop"]
"""A way to the backend: nginx, nghttpd, weft-load's echo, its opaque port; nginx past the client's proxy only."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How the proxies of a pair are set up, where a scenario wants them otherwise than all others do."""

    workers: int = 1
    everywhere: bool = False
    """Whether they may run on every core, the generator's too, so that two workers and one compare."""
    resumption: bool = True
    """Whether a TLS session may be taken up again."""
    destinations: int = 0
    """Declared beside the backend, where a proxy needs its destinations declared."""


DEFAULT = Tuning()


@dataclass(frozen=True, slots=True)
class Scenario:
    """One question. `order` decides when it is asked: memory at rest before any load, those of one in turns."""

    name: str
    title: str
    kind: Kind
    order: int
    route: Route = "http1"
    path: str = ""
    """What is asked for; empty: a body of 100 bytes."""
    connections: int = 1
    streams: int = 1
    messages: int = 8
    """Of one stream that may be unanswered."""
    rate: int = 0
    """Requests per second."""
    given_back: bool = False
    """Whether memory is measured again after the load is gone."""
    workers: int = 1
    everywhere: bool = False
    resumption: bool = True
    destinations: int = 0

    @property
    def tuning(self) -> Tuning:
        return Tuning(self.workers, self.everywhere, self.resumption, self.destinations)


@dataclass(frozen=True, slots=True)
class Effort:
    """How many repetitions, the seconds of one measured window, and those of rest after a burst."""

    runs: int
    seconds: float
    rest: float = 30.0


def load(names: Sequence[str], directory: Path = DIRECTORY) -> list[Scenario] | str:
    """All scenarios, or those named, in their order; the reason when a name is unknown."""
    found = {path.stem: path for path in directory.glob("*.toml")}
    unknown = sorted(set(names) - found.keys())
    if unknown:
        return f"there is no scenario {', '.join(unknown)}; there are {', '.join(sorted(found))}"
    chosen = names or found
    scenarios = [Scenario(name=name, **tomllib.loads(found[name].read_text(encoding="utf-8"))) for name in chosen]
    return sorted(scenarios, key=lambda each: (each.order, each.name))
