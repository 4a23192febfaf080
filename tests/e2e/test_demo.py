"""The demo from the command line to the last table, in real namespaces with real proxies."""

import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.e2e
TIMEOUT_SECONDS = 600


@pytest.fixture(scope="module")
def shown() -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "weft", "demo", "--once", "--mesh", "demo-test"]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)


def part(text: str, heading: str) -> str:
    """The lines from a heading to the next empty line."""
    return text.partition(f"\n{heading}")[2].partition("\n\n")[0]


def shares(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"^\s+prices-\d .* (\d+) %$", text, re.MULTILINE)]


def test_it_ends_by_itself_and_is_content(shown):
    """Requirement: `--once` ends with exit code 0 when everything is as it should be."""
    assert shown.returncode == 0, shown.stdout + shown.stderr


def test_it_shows_one_busy_replica_before_and_three_after(shown):
    """Requirement: 100 % on one replica without the mesh, 33 % ± 5 on each with it."""
    assert sorted(shares(part(shown.stdout, "Before"))) == [0, 0, 100]
    after = shares(part(shown.stdout, "After"))
    assert len(after) == 3
    assert all(28 <= share <= 38 for share in after)


def test_it_shows_identities(shown):
    """Requirement: the edges carry the identities of both ends."""
    edges = part(shown.stdout, "Who talks to whom")
    assert re.search(r"loadgen\s+prices\s+mutual TLS\s+loadgen\.default\s+prices\.default", edges)
    assert re.search(r"web\s+prices\s+mutual TLS\s+web\.default\s+prices\.default", edges)


def test_it_points_out_the_failing_method_and_the_eager_client(shown):
    """Requirement: the failing method stands in the table, and both are said in words."""
    found = part(shown.stdout, "What succeeds")
    assert re.search(r"prices-discount\s+[89]\d\.\d %", found)
    assert "prices-discount fails" in found
    assert "poller calls prices" in found


def test_plain_output_has_no_control_characters(shown):
    """Requirement: what is not a terminal gets plain lines."""
    assert "\x1b" not in shown.stdout
