"""A count is held against its budget, which is for one compiler and one kind of processor."""

import json
from pathlib import Path

import pytest
from bench import icount
from bench.callgrind import Counts

BUDGET = Counts(1000, 10.0)


@pytest.mark.parametrize(
    ("counted", "over"),
    [
        (Counts(1030, 10.3), []),
        (Counts(1031, 10.0), ["instructions"]),
        (Counts(900, 10.31), ["system_calls"]),
        (Counts(1100, 11.0), ["instructions", "system_calls"]),
    ],
)
def test_each_figure_may_be_three_percent_over(counted: Counts, over: list[str]):
    """Requirement: less of one figure does not pay for more of the other."""
    assert icount.over(counted, BUDGET) == over


def test_a_budget_is_read_as_it_was_written(tmp_path: Path):
    """Requirement: what --update writes is what the next count is held against."""
    file = tmp_path / "budget.json"
    icount.write(file, {"path": BUDGET})
    assert icount.read(file) == {"path": BUDGET}


@pytest.mark.parametrize("by", ["rustc", "architecture"])
def test_counts_of_another_compiler_or_processor_are_not_compared(tmp_path: Path, by: str):
    """Requirement: a budget that is not for this program says so, instead of passing or failing."""
    file = tmp_path / "budget.json"
    icount.write(file, {"path": BUDGET})
    written = json.loads(file.read_text())
    written["counted_by"][by] = "another"
    file.write_text(json.dumps(written))
    with pytest.raises(icount.NotCounted, match="UPDATE=1"):
        icount.read(file)


def test_the_stored_budget_is_of_all_paths():
    """Requirement: each path that is counted has its budget."""
    assert icount.read(icount.BUDGET).keys() == set(icount.PATHS)
