"""Workers of one proxy keep out of each other's way: what the kernel is asked for while requests pass two of them."""

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bench import h2load
from tests.e2e import memory, one_proxy, software
from tests.e2e.applications import FILES, Python, idle, text

from weft.testing import Mesh

pytestmark = pytest.mark.e2e
REQUESTS = 2000
FEW = REQUESTS // 100
PROXIES = ("client-0", "server-0")


@pytest.fixture
def mesh(python: Python, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mesh]:
    """Proxies of two workers each."""
    mesh = Mesh(text(python.server("server"), idle("client")), FILES, "workers")
    wrapper = mesh.directory / "two-workers"
    wrapper.write_text(f'#!/bin/sh\nLINKERD2_PROXY_CORES=2 exec {one_proxy.program()} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("WEFT_PROXY_BINARY", str(wrapper))
    with mesh:
        yield mesh


class Calls:
    """System calls of one process, by thread."""

    def __init__(self, said: str) -> None:
        self.lines = re.findall(r"^(\d+) +(\w+)\((.*)$", said, re.M)

    def workers(self) -> set[str]:
        """The threads that wrote to connections, and more than the control plane's few messages."""
        written = Counter(thread for thread, _, arguments in self.lines if re.match(r"\d+<socket", arguments))
        return {thread for thread, times in written.items() if times > FEW}

    def wakes(self) -> list[str]:
        """What workers asked for to wake another thread, or to wait in a lock for one."""
        workers = self.workers()
        return [
            f"{call}({arguments}"
            for thread, call, arguments in self.lines
            if thread in workers and ("[eventfd" in arguments or "FUTEX" in arguments)
        ]


@contextmanager
def traced(mesh: Mesh, directory: Path) -> Iterator[dict[str, Path]]:
    """Write down what the proxies ask the kernel for until the block ends, a file for each."""
    strace = software.program("strace", "strace")
    files = {replica: directory / replica for replica in PROXIES}
    tracing = []
    try:
        for replica, file in files.items():
            pid = memory.proxy(mesh, replica)
            command = [strace, "-f", "-y", "-e", "trace=write,writev,sendto,sendmsg,futex", "-o", file, "-p", str(pid)]
            process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            tracing.append(process)
            assert process.stderr
            assert "attached with" in process.stderr.readline()
        yield files
    finally:
        for process in tracing:
            process.send_signal(signal.SIGINT)
            process.communicate()


def test_no_request_wakes_another_thread(mesh: Mesh, tmp_path: Path) -> None:
    """Requirement: a request stays with the worker that took its connection, in both proxies: none wakes another
    thread, and none waits in a lock for one.
    """

    def ask() -> h2load.Said:
        words = ("--h1", "-c", "16", "-n", str(REQUESTS), "http://server:8081/")
        return h2load.parse(mesh.exec("client-0", software.program("h2load", "nghttp2-client"), *words))

    # Connections to the server's proxy and what is known of the destination stay from here on.
    ask()
    with traced(mesh, tmp_path) as files:
        said = ask()
    assert (said.requests, said.failed) == (REQUESTS, 0)
    calls = {replica: Calls(file.read_text()) for replica, file in files.items()}
    assert len(calls["client-0"].workers()) == 2
    assert calls["server-0"].workers()
    for replica, found in calls.items():
        assert len(found.lines) >= REQUESTS
        assert len(found.wakes()) < FEW, (replica, found.wakes()[:10])
