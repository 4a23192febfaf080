"""Memory of a mesh's proxies while something happens."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from bench import processes

from weft.testing import Mesh

LOOK_EVERY_SECONDS = 0.05


@dataclass
class Memory:
    """Resident memory of one proxy, in MB (10^6 bytes)."""

    pid: int
    first: float
    most: float = 0.0
    last: float = 0.0

    @property
    def growth(self) -> float:
        """How far it went above where it began."""
        return self.most - self.first

    def sized(self, number: int) -> float:
        """What each of `number` things that it holds now costs it, in kB."""
        self.look()
        return (self.last - self.first) * 1000 / number

    def look(self) -> None:
        self.last = processes.rss_mb(self.pid)
        self.most = max(self.most, self.last)


@contextmanager
def watched(mesh: Mesh, *replicas: str) -> Iterator[dict[str, Memory]]:
    """Look often at the memory of these replicas' proxies until the block ends."""
    found = {replica: Memory(pid, processes.rss_mb(pid)) for replica in replicas for pid in [proxy(mesh, replica)]}
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_EVERY_SECONDS):
            for memory in found.values():
                with suppress(OSError):
                    memory.look()

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        over.set()
        looking.join()


def proxy(mesh: Mesh, replica: str) -> int:
    """The process of the replica's proxy, as the host counts."""
    for pid in mesh.processes():
        if processes.program(pid) == "weft-proxy" and f'"{replica}"' in processes.environment(pid).get(
            "LINKERD2_PROXY_POLICY_WORKLOAD", ""
        ):
            return pid
    raise LookupError(f"{replica} has no proxy")
