"""What only the host's side of `weft up` can give a mesh, asked of it there one by one: `lending` answers."""

import asyncio
import json
import os
import socket
from collections.abc import Sequence

from weft.lib.errors import WeftError
from weft.local.readable import until_readable


class Outside:
    """The mesh's end of the line to the host."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._line.setblocking(False)
        self._one_at_a_time = asyncio.Lock()
        self._number = 0

    async def listen(self, host: str, port: int) -> socket.socket:
        """A listening socket. Raises OSError with the host's reason."""
        try:
            return _socket(await self._ask(["listen", host, port]))
        except WeftError as refused:
            raise OSError(f"cannot listen on {host}:{port}: {refused}") from None

    async def connect(self, port: int) -> socket.socket:
        """A connection to the host's loopback. Raises OSError with the host's reason."""
        try:
            return _socket(await self._ask(["connect", "127.0.0.1", port]))
        except WeftError as refused:
            raise OSError(f"cannot connect to 127.0.0.1:{port}: {refused}") from None

    async def resolver(self, number: int, protocol: str) -> socket.socket | None:
        """A socket that leads to one of the host's name servers by `UDP` or `TCP`; None when it has no more of them."""
        try:
            return _socket(await self._ask(["resolver", number, protocol]))
        except WeftError:
            return None

    async def way_out(self, namespaces: Sequence[int]) -> int:
        """Let the network, the PID and (if there is one) the user namespace out to the host's network.

        A descriptor that can be read when that has ended. Raises WeftError with the reason.
        """
        return await self._ask(["way out"], namespaces)

    async def _ask(self, words: list[str | int], given: Sequence[int] = ()) -> int:
        async with self._one_at_a_time:
            self._number += 1
            socket.send_fds(self._line, [json.dumps([self._number, *words]).encode()], list(given))
            while True:
                await until_readable(self._line)
                said, descriptors, _, _ = socket.recv_fds(self._line, 4096, 1)
                number, refusal = json.loads(said)
                if number == self._number:
                    break
                for each in descriptors:  # of a question whose asker is gone
                    os.close(each)
        if not descriptors:
            raise WeftError(str(refusal))
        return descriptors[0]


def _socket(descriptor: int) -> socket.socket:
    found = socket.socket(fileno=descriptor)
    found.setblocking(False)
    return found
