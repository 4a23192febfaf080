"""A client that calls all the time, beside a replica; see `apps/load.py`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.e2e.applications import Python

from weft.testing import Mesh


@dataclass
class Load:
    """What came of the calls; filled in when the block ends."""

    calls: int = 0
    failed: int = 0
    reasons: list[str] = field(default_factory=list)
    replicas: dict[str, int] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)
    """When each replica answered for the first time, by CLOCK_MONOTONIC."""

    def share(self, replica: str) -> float:
        """The replica's part of all calls, in per cent."""
        return 100 * self.replicas.get(replica, 0) / self.calls


@contextmanager
def load(mesh: Mesh, python: Python, replica: str, target: str, concurrency: int = 8) -> Iterator[Load]:
    """Call `target` over one connection until the block ends."""
    caller = mesh.background(replica, *python.command("load.py", target, concurrency))
    assert caller.stdout
    assert caller.stdout.readline() == "calling\n"
    result = Load()
    try:
        yield result
        said, _ = caller.communicate()
        vars(result).update(json.loads(said))
    finally:
        caller.kill()
        caller.wait()


def calls(mesh: Mesh, python: Python, replica: str, target: str, concurrency: int, number: int) -> Load:
    """Call `target` so often over one connection."""
    said = mesh.exec(replica, *python.command("load.py", target, concurrency, number), stdin="")
    return Load(**json.loads(said.splitlines()[-1]))
