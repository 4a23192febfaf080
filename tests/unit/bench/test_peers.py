"""Which scenarios are asked of whom, and how a proxy's metrics are counted."""

from bench import peers, programs, scenario
from bench.pair import Program


def asked(program: Program | None) -> set[str]:
    """The scenarios of the bench that are for it."""
    everything = scenario.load([])
    assert program is not None
    assert not isinstance(everything, str)
    return {each.name for each in everything if program.asked(each)}


def test_the_floor_carries_bytes_only():
    """Requirement: a relay speaks no HTTP, so only what moves many bytes is asked of it."""
    assert asked(programs.found()["floor"]) == {"bulk-1m", "bulk-100m", "tcp-bulk"}


def test_a_program_of_all_ways_is_asked_everything():
    """Requirement: a peer is left out of no scenario that it can carry."""
    assert len(asked(Program("any", programs.ALL, lambda *_: []))) == len(list(scenario.DIRECTORY.iterdir()))


def test_a_program_of_one_hop_is_asked_for_that_only():
    """Requirement: nginx stands beside the others where a scenario has a single hop."""
    assert asked(programs.found()["nginx"]) == {"hop-http1"}


def test_a_histogram_is_one_set_of_labels():
    """Requirement: its buckets, sum and count are counted once, and comments not at all."""
    text = """\
# HELP request_total Requests.
# TYPE request_total counter
request_total{a="1"} 4
request_total{a="2"} 4
# TYPE size histogram
size_bucket{a="1",le="1"} 2
size_bucket{a="1",le="+Inf"} 6
size_sum{a="1"} 24
size_count{a="1"} 6
# TYPE wait histogram
wait_bucket{le="+Inf"} 6
wait_sum 24
wait_count 6
up 1
"""
    assert peers.label_sets(text) == 5
