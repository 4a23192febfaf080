"""The vectors that the Rust contract test reads are what Python writes today."""

from tests import wire_vectors


def test_the_checked_in_vectors_are_current() -> None:
    """A change to the contract shows in the vectors; `make generate` writes them."""
    checked_in = {path.name: path.read_bytes() for path in wire_vectors.DIRECTORY.glob("*.bin")}

    assert checked_in == wire_vectors.packages()
