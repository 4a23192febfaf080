"""What a request costs is held against its budget by counts that are the same on a busy machine."""

import shutil
from pathlib import Path

import pytest
from bench import icount

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def program() -> Path:
    """The proxy's tests, optimised. `make test` has built them before: here that takes minutes."""
    if shutil.which("valgrind") is None:
        pytest.fail("valgrind is missing: install it with apt-get install valgrind")
    return icount.build()


@pytest.mark.parametrize("path", icount.PATHS)
def test_a_request_costs_no_more_than_its_budget(program: Path, path: str):
    """Requirement: instructions and system calls of a request are at most 3 % over bench/icount.json, on every path.

    Where that is meant, `make bench-icount UPDATE=1` sets the budget, in a commit that says what was bought.
    """
    budget = icount.read(icount.BUDGET)[path]
    counted = icount.count(program, path)
    assert not icount.over(counted, budget), f"{counted} is over {budget}"
