"""The pytest plugin: tests of users' own services in a mesh. Where it is not used it costs nothing.

    @pytest.mark.weft_mesh("mesh.yaml")
    def test_checkout(weft_mesh):
        assert weft_mesh.exec("client", "curl", "-fsS", "http://shop:8080/") == "ok"

`docs/guides/testing.md` says the rest. A failed test shows what the mesh and its workloads printed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from weft.testing.mesh import Mesh


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "weft_mesh(file, fresh=False): run the test in the mesh of this file (relative to the test's own); "
        "tests share it unless fresh",
    )


class Meshes:
    """The meshes that tests share, by file."""

    def __init__(self) -> None:
        self._running: dict[Path, Mesh] = {}

    def of(self, file: Path) -> Mesh:
        """The running mesh of a file, started if need be, and again if it has ended."""
        known = self._running.get(file)
        if known is not None and known.replicas():
            return known
        if known is not None:
            known.stop()
        self._running[file] = fresh(file)
        return self._running[file]

    def stop(self) -> None:
        """End all of them."""
        while self._running:
            self._running.popitem()[1].stop()


def fresh(file: Path) -> Mesh:
    """A new mesh of a file, ready."""
    from weft.testing.mesh import Mesh

    return Mesh.of_file(file).__enter__()


@pytest.fixture(scope="session")
def weft_meshes() -> Iterator[Meshes]:
    """The meshes of this test run: `weft_meshes.of(path)`."""
    meshes = Meshes()
    yield meshes
    meshes.stop()


@pytest.fixture
def weft_mesh(request: pytest.FixtureRequest, weft_meshes: Meshes) -> Iterator[Mesh]:
    """The running mesh of the test's `weft_mesh` marker."""
    marker = request.node.get_closest_marker("weft_mesh")
    if marker is None or not marker.args:
        pytest.fail('the fixture weft_mesh needs to know its file: @pytest.mark.weft_mesh("mesh.yaml")')
    file = request.path.parent / str(marker.args[0])
    if not marker.kwargs.get("fresh", False):
        yield weft_meshes.of(file)
        return
    mesh = fresh(file)
    try:
        yield mesh
    finally:
        mesh.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed test what its mesh printed."""
    report = yield
    mesh = getattr(item, "funcargs", {}).get("weft_mesh")
    if report.failed and call.when == "call" and mesh is not None:
        report.sections.append((f"mesh {mesh.name}", mesh.output()))
        for name in sorted(mesh.replicas()):
            printed = mesh.logs(name).splitlines()[-LINES:]
            report.sections.append((f"{name} (the last {len(printed)} lines)", "\n".join(printed)))
    return report


LINES = 30
