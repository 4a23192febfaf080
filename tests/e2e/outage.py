"""An outage of the control plane: its process is killed again whenever it has been started again."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from weft.testing import Mesh, wait_until

LOOK_EVERY_SECONDS = 0.02


@contextmanager
def control_plane_down(mesh: Mesh) -> Iterator[None]:
    """Until the block ends, no control plane lives for longer than it takes to see it."""
    over = threading.Event()
    killed: set[int] = set()

    def kill() -> None:
        while not over.wait(LOOK_EVERY_SECONDS):
            for pid, command in mesh.processes().items():
                if " control-plane " in command:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                    killed.add(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        wait_until(lambda: killed, "the control plane is killed")
        yield
    finally:
        over.set()
        killer.join()


def keep_down(mesh: Mesh, seconds: float) -> None:
    """Keep the control plane down for so long; it must not have become ready meanwhile."""
    with control_plane_down(mesh):
        ended = time.monotonic() + seconds
        wait_until(lambda: not mesh.replicas()["weft-control-plane-0"]["ready"], "the control plane is down")
        while time.monotonic() < ended:
            assert not mesh.replicas()["weft-control-plane-0"]["ready"]
            time.sleep(LOOK_EVERY_SECONDS)
