"""A process that holds the streams: `python -m bench.control_plane.crowd STREAMS TOGETHER DESTINATION POLICY`.

Writes one record for each message that comes: the stream's number and when it was read, by the clock that all processes
of a machine share. Lines on its standard input steer it: `stall N` stops reading the first N connections, `resume`
reads them again; it ends with its input. A connection that ends is opened again at once, and with it its streams.
"""

import resource
import selectors
import struct
import sys
import time

from bench.control_plane.http2 import Connection, Ended
from bench.control_plane.streams import crowd

RECORD = struct.Struct("<iq")
HOST = "127.0.0.1"
_RETRY_SECONDS = 0.02


class Crowd:
    """All connections, read from one thread."""

    def __init__(self, streams: int, together: int, destination_port: int, policy_port: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._calls: dict[int, dict[int, tuple[str, bytes]]] = {}
        self._ports: dict[int, int] = {}
        for number, stream in enumerate(crowd(streams, together, destination_port, policy_port)):
            self._calls.setdefault(stream.connection, {})[number] = (stream.path, stream.message)
            self._ports[stream.connection] = stream.port
        self._open: dict[int, Connection] = {}
        self._absent = list(self._calls)
        self._stalled: set[int] = set()

    def run(self) -> None:
        """Go on until standard input ends."""
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        out = sys.stdout.buffer
        while True:
            if self._absent:
                self._connect()
            for key, _ in self._selector.select(_RETRY_SECONDS if self._absent else None):
                if key.data is not None:
                    out.write(self._read(key.data))
                elif not self._steer(sys.stdin.readline()):
                    return
            out.flush()

    def _connect(self) -> None:
        """Open what is not open, all at once; when one is refused the others do not try: it would cost a processor."""
        while self._absent:
            which = self._absent[-1]
            try:
                connection = Connection(HOST, self._ports[which], self._calls[which])
            except OSError:
                return
            self._absent.pop()
            self._open[which] = connection
            self._selector.register(connection.socket, selectors.EVENT_READ, which)

    def _read(self, which: int) -> bytes:
        records = bytearray()
        connection = self._open[which]
        try:
            for number, _ in connection.read():
                records += RECORD.pack(number, time.monotonic_ns())
        except Ended as error:
            sys.stderr.write(f"connection {which}: {error}\n")
            self._selector.unregister(connection.socket)
            connection.close()
            del self._open[which]
            self._absent.append(which)
        return bytes(records)

    def _steer(self, line: str) -> bool:
        word, _, count = line.strip().partition(" ")
        if word == "stall":
            self._stalled = set(sorted(self._open)[: int(count)])
            for which in self._stalled:
                self._selector.unregister(self._open[which].socket)
        elif word == "resume":
            for which in self._stalled:
                self._selector.register(self._open[which].socket, selectors.EVENT_READ, which)
            self._stalled = set()
        return bool(line)


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    Crowd(*(int(each) for each in sys.argv[1:])).run()
