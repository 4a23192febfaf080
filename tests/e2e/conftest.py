"""Real meshes: `weft up` with namespaces and processes, stopped at the end of each test whatever happens."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.applications import Python
from tests.e2e.mesh import Weft


@pytest.fixture
def weft(tmp_path: Path) -> Iterator[Weft]:
    """A mesh of its own for one test."""
    if shutil.which("nft", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        pytest.fail("nft is missing: install it with apt-get install nftables")
    for directory in (tmp_path, *tmp_path.parents):  # applications run as somebody else
        if directory.stat().st_uid == os.getuid() and directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o055)
    mesh = Weft(f"test-{os.getpid()}-{tmp_path.name}"[:60], tmp_path)
    yield mesh
    for process in mesh.started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.fixture(scope="session")
def python() -> Python:
    """The interpreter that runs the test applications."""
    return Python.find()
