"""`weft control-plane` as a process: what it says when it cannot start, and how it ends."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

import weft
from weft.cli._duration import DURATION
from weft.identity import authority, tokens

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(weft.__file__).parents[1])}
ANY_PORTS = ["--identity-port=0", "--destination-port=0", "--policy-port=0", "--admin-port=0", "--listen=127.0.0.1"]


def command(directory: Path) -> list[str]:
    (directory / "objects").mkdir()
    authority.create(directory / "issuer", "cluster.local", datetime.now(UTC))
    (directory / "token.pub").write_bytes(tokens.create_key().public)
    files = [f"--objects={directory}/objects", f"--issuer-dir={directory}/issuer", f"--token-key={directory}/token.pub"]
    return [sys.executable, "-m", "weft", "control-plane", *files, *ANY_PORTS]


def test_it_says_when_it_is_ready_and_ends_on_sigterm(tmp_path: Path) -> None:
    """Requirement: log lines are JSON when nobody looks; SIGTERM ends the process with 0."""
    with subprocess.Popen(command(tmp_path), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stderr is not None
        line = json.loads(process.stderr.readline())
        assert (line["message"], line["level"]) == ("control plane ready", "info")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("missing", "words"),
    [("objects", "is not a directory"), ("issuer/issuer.key", "cannot read"), ("token.pub", "cannot read")],
)
def test_what_is_missing_is_said_with_a_hint(tmp_path: Path, missing: str, words: str) -> None:
    """Requirement: exit code 1, the reason and a hint, no traceback."""
    start = command(tmp_path)
    (tmp_path / missing).rename(tmp_path / "away")
    result = subprocess.run(start, capture_output=True, text=True, timeout=60, check=False, env=ENVIRONMENT)
    assert result.returncode == 1
    assert words in result.stderr
    assert "hint:" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("24h", timedelta(hours=24)),
        ("1h30m", timedelta(minutes=90)),
        ("20s", timedelta(seconds=20)),
        ("500ms", timedelta(milliseconds=500)),
    ],
)
def test_durations_are_written_as_in_linkerds_options(written: str, read: timedelta) -> None:
    """Requirement: Go's form, of which these units are used."""
    assert DURATION.convert(written, None, None) == read


@pytest.mark.parametrize("written", ["", "24", "h", "1d", "1h 30m", "-1s"])
def test_what_is_no_duration_is_said(written: str) -> None:
    """Requirement: the text is repeated, and an example is given."""
    with pytest.raises(click.BadParameter, match="such as 24h"):
        DURATION.convert(written, None, None)
