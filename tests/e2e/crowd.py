"""Many WebSockets open at once through two proxies; see `apps/crowd.py`."""

import json
import resource

import pytest
from tests.e2e import memory, software
from tests.e2e.applications import FILES, Python, idle, text

from weft.testing import Mesh

MESHED = ("client-0", "server-0")
SPARE_DESCRIPTORS = 1_200
"""What a proxy keeps back for other things than carrying connections, and some for probes."""
BOUND_KB = 150.0
"""Of memory for one connection in one proxy, two sockets and a TLS session: several times what is expected."""


def gathers(python: Python, number: int) -> None:
    """Open so many WebSockets, then have each answer a message. Says what one costs either proxy."""
    need_descriptors(2 * number + SPARE_DESCRIPTORS)
    server = software.server("server", python.command("crowd.py", "serve", 8080))
    mesh = Mesh(text(server, idle("client")), FILES, "crowd")
    software.add_python_packages(mesh.directory, "websockets")
    with mesh, memory.watched(mesh, *MESHED) as proxies:
        client = mesh.background("client-0", *python.command("crowd.py", "open", "server", 8080, number))
        assert client.stdin
        assert client.stdout
        try:
            opened = json.loads(client.stdout.readline())
            assert opened == {"open": number, "failed": []}
            each_kb = {name: proxies[name].sized(number) for name in MESHED}
            client.stdin.write("go on\n")
            client.stdin.flush()
            assert json.loads(client.stdout.readline()) == {"answered": number, "failed": []}
        finally:
            client.kill()
            client.communicate()
        told = ", ".join(f"{name} {size:.1f} kB" for name, size in each_kb.items())
        print(f"{number} WebSockets, memory of the proxy for each: {told}")
        assert max(each_kb.values()) < BOUND_KB, told


def need_descriptors(number: int) -> None:
    """Fail, and say why, where this machine does not let a process open so many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < number:
        pytest.fail(f"the hard limit of open files is {hard}, {number} are needed: raise it with ulimit -Hn {number}")
