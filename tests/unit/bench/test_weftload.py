"""What our own load generator is asked and how its words are read."""

import pytest
from bench import weftload
from bench.weftload import Said


@pytest.fixture(autouse=True)
def named(monkeypatch):
    monkeypatch.setenv(weftload.VARIABLE, "/bin/true")


def test_a_command_names_the_mode_the_target_and_the_options():
    """Requirement: numbers as the program reads them, fractions of a second too."""
    words = weftload.command("rate", "http://198.18.0.9:8080/", rate=1000, connections=16, seconds=1.2)
    expected = ["rate", "http://198.18.0.9:8080/", "--rate", "1000", "--connections", "16", "--seconds", "1.2"]
    assert words == ["/bin/true", *expected]
    assert weftload.command("idle", "a:1", connections=20000)[-1] == "20000"


def test_figures_are_read_from_the_last_line():
    """Requirement: bodies, or opaque bytes both ways, become gigabytes; complaints in front do no harm."""
    assert weftload.parse('{"requests": 5, "failed": 0, "p50_ms": 0.5, "p99_ms": 2.0}\n') == Said(5, 0, 0.5, 2.0)
    said = weftload.parse('a connection is given up\n{"sent": 1e9, "received": 2e9, "failed": 1, "seconds": 3.0}')
    assert said == Said(failed=1, gigabytes=3.0, seconds=3.0)
    assert weftload.parse('{"requests": 2, "failed": 0, "bytes": 5e8}').gigabytes == 0.5


@pytest.mark.parametrize("text", ["", "weft-load: connection refused", "[]", "3", '{"open": 5}'])
def test_anything_else_is_an_error_that_shows_what_was_printed(text):
    """Requirement: a generator that did not run gives no figures."""
    with pytest.raises(ValueError, match="no figures") as problem:
        weftload.parse(text)
    assert text in str(problem.value)


def test_counts_are_found_among_other_lines():
    """Requirement: what the idle mode says, one object for each of its two moments."""
    assert weftload.lines(['{"open": 10}', "x", '{"held": 9}'], "held") == [9]
