"""Lists of ports as annotations write them."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from weft.model import ports

numbers = st.integers(1, 65535)
listed = st.lists(st.tuples(numbers, st.integers(0, 300)).map(lambda r: (r[0], min(r[0] + r[1], 65535))), max_size=20)


def test_lists_are_read_as_linkerd_reads_them() -> None:
    """Requirement: numbers and ranges; what is neither is passed over, and can be asked for."""
    text = "25, 3000-3010,http,,0,70000,9-8,1-2-3"
    assert ports.ranges(text) == [(25, 25), (3000, 3010)]
    assert ports.unreadable(text) == ["http", "0", "70000", "9-8", "1-2-3"]


@given(listed, numbers)
def test_merging_changes_no_port(ranges: list[ports.Range], port: int) -> None:
    """Requirement: merged ranges hold the same ports, ascending and apart, as nft demands."""
    merged = ports.merged(ranges)
    assert ports.contains(merged, port) == ports.contains(ranges, port)
    assert all(ports.contains(merged, each) for low, high in ranges for each in (low, high))
    assert all(before[1] + 1 < after[0] for before, after in pairwise(merged))
