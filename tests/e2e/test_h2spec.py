"""HTTP/2 as others test and load it: h2spec and h2load against both sides of the proxy, in front of nghttpd."""

import re
from collections.abc import Iterator

import pytest
from tests.e2e import peers
from tests.e2e.applications import UNMESHED, idle, text

from weft.testing import Mesh

pytestmark = pytest.mark.e2e
SIDES = {"inbound": "outside-0", "outbound": "client-0"}
"""From where a client's own connection is answered by which side."""
CASES = 146
"""What h2spec 2.2.1 holds in store, its strict cases included: one fewer means that one was not run."""
PORT = 8080


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    peers.need("nghttpd", "nghttp2-server")
    peers.need("h2load", "nghttp2-client")
    server = {
        "apiVersion": "mesh.weft.dev/v1alpha1",
        "kind": "Workload",
        "metadata": {"name": "server"},
        "spec": {
            "command": ["nghttpd", "--no-tls", "--htdocs", "pages", str(PORT)],
            "ports": [{"port": PORT}],
            "readiness": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        },
    }
    mesh = Mesh(text(server, idle("client"), idle("outside", **UNMESHED)), (), "h2spec")
    peers.put(mesh, "h2spec")
    pages = mesh.directory / "pages"
    pages.mkdir(mode=0o755)
    (pages / "index.html").write_text("page" * 1000)
    with mesh:
        yield mesh


@pytest.mark.parametrize("side", SIDES)
def test_h2spec(mesh: Mesh, side: str) -> None:
    """Requirement: every case of h2spec passes, strict ones too, for clients inside and outside of the mesh."""
    before = requests(mesh, side)
    said = mesh.run("exec", SIDES[side], "--", "./h2spec", "--strict", "-h", "server", "-p", str(PORT)).stdout
    assert f"{CASES} tests, {CASES} passed, 0 skipped, 0 failed" in said, failures(said)
    assert requests(mesh, side) > before, "the proxy has seen none of it"


@pytest.mark.parametrize("side", SIDES)
def test_h2load(mesh: Mesh, side: str) -> None:
    """Requirement: under load on several connections, over which many requests are under way at once, none fails."""
    number = 20000
    said = mesh.exec(SIDES[side], "h2load", "-n", str(number), "-c", "8", "-m", "100", f"http://server:{PORT}/")
    assert f"{number} succeeded, 0 failed, 0 errored, 0 timeout" in said, said
    assert f"{number} 2xx" in said, said


def requests(mesh: Mesh, side: str) -> float:
    """How many requests the proxy of that side has passed on."""
    replica = "server-0" if side == "inbound" else "client-0"
    return mesh.counted(replica, "request_total", {"direction": side})


def failures(said: str) -> str:
    """The lines of h2spec's summary that tell about failures."""
    return "\n".join(line for line in said.splitlines() if re.search("×|Expected|Actual|tests,", line)) or said
