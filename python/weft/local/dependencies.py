"""What keeps a replica from starting: workloads that it depends on, and how they stand. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stand:
    """How a replica stands for those that wait for its workload."""

    done: bool
    """It is ready, or a job that has done its work."""
    trouble: str = ""
    """Why it will not be, unless somebody does something."""


@dataclass(frozen=True, slots=True)
class HeldUp:
    """False where nothing keeps a replica from starting."""

    words: str = ""
    trouble: str = ""
    """Set where waiting alone will not do: what has failed, be it somebody whom others wait for."""

    def __bool__(self) -> bool:
        return bool(self.words)


def held_up(on: Mapping[str, Sequence[Stand]]) -> HeldUp:
    """What keeps a replica from starting that depends on these workloads; one that is not planned has no replicas."""
    waiting = [name for name, stands in on.items() if not all(each.done for each in stands)]
    if not waiting:
        return HeldUp()
    troubles = dict.fromkeys(each.trouble for name in waiting for each in on[name] if each.trouble)
    if troubles:
        trouble = "; ".join(troubles)
        return HeldUp(f"blocked: {trouble}", trouble)
    return HeldUp(f"waits for {', '.join(waiting)}")
