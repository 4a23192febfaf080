"""Programs that we did not write, to hold the proxy against: built once by `scripts/test-peers`, put beside a mesh."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from weft.testing import Mesh

SOURCES = Path(__file__).parent
SCRIPT = SOURCES.parents[2] / "scripts" / "test-peers"


def put(mesh: Mesh, *names: str) -> None:
    """Put the programs where the mesh's applications, who run as somebody else, can run them."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weft" / "tools"
    built = subprocess.run([SCRIPT, str(cache)], capture_output=True, text=True, check=True)
    for name in names:
        source = Path(built.stdout.strip()) / name
        if not source.exists():
            pytest.fail(f"{name} is missing: {SCRIPT} {cache} says: {built.stderr}")
        if source.is_dir():
            shutil.copytree(source, mesh.directory / name)
        else:
            shutil.copy2(source, mesh.directory / name)


def need(program: str, package: str) -> None:
    """Fail the test that calls this when a system program is not there."""
    if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        pytest.fail(f"{program} is missing: install it with apt-get install {package}")
