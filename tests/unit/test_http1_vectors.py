"""The decision table that the Rust and end-to-end tests read, and its page for people, are what the rows say today."""

from tests import http1_vectors


def test_the_checked_in_vectors_are_current() -> None:
    """Requirement: a change of a row shows in the vectors; `make generate` writes them."""
    assert http1_vectors.VECTORS.read_text() == http1_vectors.document()


def test_the_page_is_current() -> None:
    """Requirement: the documented table is the tested one; `make generate` writes it."""
    assert http1_vectors.PAGE.read_text() == http1_vectors.page()


def test_every_row_names_its_rfc_paragraph() -> None:
    """Requirement: each decision stands beside the paragraph that it follows."""
    rows = http1_vectors.table()
    assert sum(row.kind == "request" for row in rows) >= 300
    assert all(row.rfc.startswith(("9110 §", "9112 §", "9113 §")) for row in rows)
