"""Long streams and slow readers: nothing is lost, and no proxy holds what its reader does not take."""

from collections.abc import Iterator

import pytest
from tests.e2e import streaming
from tests.e2e.applications import Python

from weft.testing import Mesh

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def mesh(python: Python) -> Iterator[Mesh]:
    with streaming.mesh(python) as mesh:
        yield mesh


@pytest.mark.parametrize("transport", streaming.TRANSPORTS)
def test_a_long_stream(mesh: Mesh, python: Python, transport: str) -> None:
    """Requirement: 256 MiB each way at once arrive byte for byte; the memory of both proxies stays bounded."""
    streaming.carry(mesh, python, transport, 256 * streaming.MIB)


@pytest.mark.parametrize("transport", streaming.TRANSPORTS)
def test_a_reader_that_stops(mesh: Mesh, python: Python, transport: str) -> None:
    """Requirement: while its reader takes nothing for 5 s, a sender is stopped and the proxies hold a bounded part;
    then all arrives.
    """
    # More than what the sockets on the way may hold: three connections, each of up to 36 MiB by most kernels.
    streaming.carry(mesh, python, transport, 256 * streaming.MIB, pause=5.0)


def test_downloads_that_wait_for_each_other(mesh: Mesh, python: Python) -> None:
    """Requirement (a defect once: the client waited for ever): downloads that begin together and are read one behind
    the other arrive byte for byte, though those that wait are more than fit into a connection between proxies.
    """
    streaming.queue(mesh, python, count=40, size=4 * streaming.MIB)


def test_a_steady_stream(mesh: Mesh, python: Python) -> None:
    """Requirement: a gRPC stream that is in use stays open and keeps its order for 20 s."""
    streaming.steady(mesh, python, 20.0)
