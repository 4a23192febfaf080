"""The table of routes: its file is what Rust reads."""

from tests.route_table import SCENARIOS
from tests.route_vectors import FILE, text


def test_the_table_is_large_enough_and_its_file_is_made_from_it() -> None:
    """Requirement: at least 65 rows; `tests/vectors/routes.json` is what `python -m tests.route_vectors` makes."""
    assert sum(len(each.rows) for each in SCENARIOS) >= 65
    assert FILE.read_text() == text(), "run make generate"
