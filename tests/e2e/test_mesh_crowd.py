"""Many connections at once, and the descriptors they need."""

import resource

import pytest
from tests.e2e import crowd, memory
from tests.e2e.applications import Python, idle, text

from weft.testing import Mesh

pytestmark = pytest.mark.e2e


def test_five_hundred_websockets(python: Python) -> None:
    """Requirement: 500 WebSockets are open at once and every one still answers; memory per connection is bounded."""
    crowd.gathers(python, 500)


def test_a_proxy_takes_all_descriptors_it_may() -> None:
    """Requirement: the proxy raises its limit of open files to the hard one, whatever soft limit it started with."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    try:
        with Mesh(text(idle("client")), name="descriptors") as mesh:
            soft, hard = resource.prlimit(memory.proxy(mesh, "client-0"), resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert (soft, hard) == (min(before[1], 1 << 20), before[1])
