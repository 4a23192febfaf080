"""The long streams of `tests/e2e/test_mesh_streams.py` at full length."""

from collections.abc import Iterator

import pytest
from tests.e2e import streaming
from tests.e2e.applications import Python

from weft.testing import Mesh

pytestmark = pytest.mark.soak
GIB = 1 << 30
HOUR_SECONDS = 3600.0


@pytest.fixture(scope="module")
def python() -> Python:
    return Python.find()


@pytest.fixture(scope="module")
def mesh(python: Python) -> Iterator[Mesh]:
    with streaming.mesh(python) as mesh:
        yield mesh


@pytest.mark.parametrize("transport", streaming.TRANSPORTS)
def test_ten_gibibytes_each_way(mesh: Mesh, python: Python, transport: str) -> None:
    """Requirement: 10 GiB each way at once arrive byte for byte; the memory of both proxies stays bounded."""
    streaming.carry(mesh, python, transport, 10 * GIB)


@pytest.mark.parametrize("transport", streaming.TRANSPORTS)
def test_a_reader_that_stops_for_half_a_minute(mesh: Mesh, python: Python, transport: str) -> None:
    """Requirement: its sender is stopped meanwhile, the proxies hold a bounded part, then all arrives."""
    streaming.carry(mesh, python, transport, 256 * streaming.MIB, pause=30.0)


def test_a_stream_of_an_hour(mesh: Mesh, python: Python) -> None:
    """Requirement: a gRPC stream that is in use stays open and keeps its order for an hour; the proxies do not grow."""
    streaming.steady(mesh, python, HOUR_SECONDS)
