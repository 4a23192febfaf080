"""The commands' side of the mesh's Unix socket. Blocking: a command asks one thing and ends."""

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from weft.lib.errors import WeftError
from weft.local.state import State, find


def ask(mesh: str, request: Mapping[str, object]) -> dict[str, object]:
    """One request, one answer. Raises WeftError when the mesh does not run or refuses."""
    with conversation(mesh, request) as answers:
        return next(answers, {})


def rows(mesh: str, request: Mapping[str, object]) -> list[dict[str, object]]:
    """Ask a question that is answered with rows."""
    found = ask(mesh, request).get("rows")
    return found if isinstance(found, list) else []


@contextmanager
def conversation(
    mesh: str, request: Mapping[str, object], descriptors: Sequence[int] = ()
) -> Iterator[Iterator[dict[str, object]]]:
    """One request with these file descriptors; the answers, as they come."""
    state = running(mesh)
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(state.socket))
        except OSError as problem:
            raise WeftError(f"mesh {mesh} does not answer: {problem.strerror}", "it may still be starting") from problem
        socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], list(descriptors))
        yield _answers(connection)


def running(mesh: str) -> State:
    """The state of a mesh that runs. Raises WeftError otherwise."""
    state = find(mesh)
    if not state.alive():
        raise WeftError(f"no mesh called {mesh} is running", "start one with `weft up FILE`")
    return state


def _answers(connection: socket.socket) -> Iterator[dict[str, object]]:
    with connection.makefile("rb") as lines:
        for line in lines:
            answer = json.loads(line)
            if "error" in answer:
                raise WeftError(answer["error"], answer.get("hint", ""))
            yield answer
