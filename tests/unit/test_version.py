"""One version, written in two places."""

import tomllib
from pathlib import Path

import weft


def test_both_programs_have_the_same_version() -> None:
    """A package's two programs are released together."""
    workspace = tomllib.loads((Path(__file__).parents[2] / "Cargo.toml").read_text())

    assert weft.__version__ == workspace["workspace"]["package"]["version"]
