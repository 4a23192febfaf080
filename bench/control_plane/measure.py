"""Runs the measurements: changes one by one, a burst, clients that do not read, and a restart."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.control_plane import documents
from bench.control_plane.changes import EDITED, Change, file_of
from bench.control_plane.processes import ControlPlane, Crowd
from bench.control_plane.streams import Kind, Stream
from bench.figures import percentile

PATIENCE = 60.0
QUIET_SECONDS = 0.5
Figures = dict[str, float]


class Silent(Exception):
    """Streams that should have heard something did not."""


@dataclass(slots=True)
class Bench:
    """A running control plane with its crowd."""

    plane: ControlPlane
    crowd: Crowd
    streams: Sequence[Stream]
    files: Mapping[str, str]
    """The mesh as it is before and after each measurement."""
    replicas: int

    def served(self, since: int) -> float:
        """Wait until every stream has a message; seconds from `since` to the last one's first."""
        return (self._hear(range(len(self.streams))) - since) / 1e9

    def idle(self, seconds: float) -> float:
        """CPU milliseconds a second while nothing changes."""
        self.settle()
        before = self.plane.cpu_ms()
        time.sleep(seconds)  # the time over which is measured
        return (self.plane.cpu_ms() - before) / seconds

    def one_by_one(self, change: Change, times: int) -> Figures:
        """Make a change `times` times, each when all have heard of the one before."""
        concerned = self._concerned(change)
        self.settle()
        took, cpu = [], self.plane.cpu_ms()
        for turn in range(times):
            since = self.plane.write(change.file, change.text(turn))
            took.append((self._hear(concerned) - since) / 1e6)
        cpu = self.plane.cpu_ms() - cpu
        self._restore([change.file])
        others_told = len({number for number, _ in self.settle()} - set(concerned))
        return {
            "streams": len(concerned),
            "changes": times,
            **_spread(took),
            "cpu_ms_per_change": cpu / times,
            "others_told": others_told,
        }

    def burst(self, changes: int) -> Figures:
        """Give one Service after the other a replica more, within a second, and wait until all of it has been told."""
        self.settle()
        files = [file_of(number) for number in range(changes)]
        cpu, begun = self.plane.cpu_ms(), time.monotonic()
        last = 0
        for number, file in enumerate(files):
            last = self.plane.write(file, documents.service(number, self.replicas + 1))
            # Keeps the pace: a burst is so many changes in one second, however fast they are written.
            time.sleep(max(0.0, begun + number / changes - time.monotonic()))
        told = self.settle()
        cpu = self.plane.cpu_ms() - cpu
        self._restore(files)
        self.settle()
        return {
            "changes": changes,
            "messages": len(told),
            "last_told_ms_after_last_change": (max(when for _, when in told) - last) / 1e6,
            "cpu_ms_per_change": cpu / changes,
        }

    def stalled(self, change: Change, connections: int, times: int) -> Figures:
        """Let connections stop reading while every stream is told something `times` times, then read again."""
        gone = {number for number, stream in enumerate(self.streams) if stream.connection < connections}
        reading = [number for number in range(len(self.streams)) if number not in gone]
        self.settle()
        before = self.plane.rss_mb()
        self.crowd.say(f"stall {connections}")
        took = []
        for turn in range(times):
            since = self.plane.write(change.file, change.text(turn))
            took.append((self._hear(reading) - since) / 1e6)
        grown = self.plane.rss_mb() - before
        self.crowd.say("resume")
        late = Counter(number for number, _ in self.settle())
        self._restore([change.file])
        self.settle()
        large = [number for number in gone if self.streams[number].kind is Kind.ENDPOINTS]
        return {
            "streams_that_stall": len(gone),
            "changes": times,
            **{f"others_{name}": value for name, value in _spread(took).items()},
            "rss_grown_mb": grown,
            "told_after_resuming_at_most": max(late[number] for number in large),
        }

    def restart(self) -> Figures:
        """Stop and start the control plane; everybody is back at the first moment that is possible."""
        self.settle()
        self.plane.stop()
        since = time.monotonic_ns()
        ready = self.plane.start()
        return {"ready_s": ready, "all_served_s": self.served(since), "rss_mb": self.plane.rss_mb()}

    def settle(self) -> list[tuple[int, int]]:
        """Return what comes until all that was written until now has been told.

        Files are read in the order in which they were written or together, so a change that one stream is known to hear
        of, and its reverse, come last.
        """
        witness = next(number for number, stream in enumerate(self.streams) if stream.kind is Kind.OUTBOUND)
        came: list[tuple[int, int]] = []
        for text in (documents.service(EDITED, self.replicas, "7s"), self.files[file_of(EDITED)]):
            while got := self.crowd.read(QUIET_SECONDS):
                came += got
            self.plane.write(file_of(EDITED), text)
            self._hear([witness], came)
        while got := self.crowd.read(QUIET_SECONDS):
            came += got
        return [(number, when) for number, when in came if number != witness]

    def _concerned(self, change: Change) -> list[int]:
        return [number for number, stream in enumerate(self.streams) if change.heard(stream)]

    def _restore(self, names: Sequence[str]) -> None:
        for file in names:
            if file in self.files:
                self.plane.write(file, self.files[file])
            else:
                (self.plane.objects / file).unlink()

    def _hear(self, concerned: Iterable[int], came: list[tuple[int, int]] | None = None) -> int:
        """Wait for a message on each stream; when the last one's came. All that comes is added to `came`."""
        missing, last = set(concerned), 0
        give_up = time.monotonic() + PATIENCE
        while missing:
            for number, when in self.crowd.read(1.0):
                if came is not None:
                    came.append((number, when))
                if number in missing:
                    missing.discard(number)
                    last = max(last, when)
            if time.monotonic() > give_up:
                raise Silent(f"{len(missing)} streams heard nothing, among them {self.streams[min(missing)]}")
        return last


def _spread(milliseconds: list[float]) -> Figures:
    ordered = sorted(milliseconds)
    return {"p50_ms": percentile(ordered, 0.5), "p99_ms": percentile(ordered, 0.99), "max_ms": ordered[-1]}
