"""Bytes through two proxies for minutes: connections that are silent, and a large copy."""

import pytest
from tests.e2e.applications import FILES, Python, ask, idle, text
from tests.e2e.test_databases import ROW, copy_through, servers
from tests.e2e.test_mesh_tcp import server

from weft.testing import Mesh

pytestmark = pytest.mark.soak


def test_a_silent_connection_stays() -> None:
    """Requirement: an opaque connection on which nothing moves for six minutes is whole.

    Longer than any time limit of the proxies: control streams are renewed after five, keep-alive probes come every ten
    seconds.
    """
    python = Python.find()
    meant = server(python, "bytes", 9006, annotations={"config.linkerd.io/opaque-ports": "9006"})
    with Mesh(text(meant, idle("client")), FILES, "silent") as mesh:
        assert ask(mesh, python, "client-0", "byte_client.py", "idle", "bytes", 9006, 360) == {"same": True}
        assert mesh.counted("client-0", "outbound_tcp_errors_total") == 0


def test_postgresql_copies_a_gibibyte() -> None:
    """Requirement: COPY carries 1 GiB out of the database and into it again, whole."""
    mesh = Mesh("", FILES, "gibibyte")
    data = mesh.directory / "data"
    data.mkdir()
    data.chmod(0o777)  # written by the applications' user
    _, database, _ = servers(data)
    mesh.edit(text(database, idle("client")))
    with mesh:
        copy_through(mesh, (1 << 30) // ROW)
