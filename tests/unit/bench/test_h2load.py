"""What h2load is asked and how its words are read."""

from pathlib import Path

import pytest
from bench import h2load
from bench.scenario import Scenario

PRINTED = """
finished in 2.01s, 60612.00 req/s, 10.06MB/s
requests: 121224 total, 121288 started, 121224 done, 121000 succeeded, 224 failed, {errored} errored, 0 timeout
status codes: {ok} 2xx, 1 3xx, 2 4xx, 4 5xx
"""


def test_a_summary_is_read():
    """Requirement: requests done, those that failed, and the rate; an unreadable status line is not a failure."""
    said = h2load.parse(PRINTED.format(ok=0, errored=3))
    assert said == h2load.Said(requests=121224, failed=10, per_second=60612.0)


def test_anything_else_is_an_error_that_shows_what_was_printed():
    """Requirement: a generator that did not run gives no figures."""
    with pytest.raises(ValueError, match="cannot connect"):
        h2load.parse("cannot connect")


def test_latencies_come_from_every_request():
    """Requirement: p50 and p99 in milliseconds over the log's lines; a line that was cut short is left out."""
    lines = [f"179544368684{number:04}\t200\t{number * 1000}\n" for number in range(100)] + ["1795443686841498\t200"]
    assert h2load.latencies(lines) == (50.0, 99.0)
    assert h2load.latencies([]) == (0.0, 0.0)


def test_a_grpc_window_posts_the_message_on_many_streams():
    """Requirement: the gRPC scenario has the shape of unary calls; durations keep their fraction."""
    what = Scenario("x", "", "saturation", 0, "grpc", connections=16, streams=8)
    words = h2load.command(what, "http://a:1/", 1.2, Path("/message"), Path("/log"))
    assert words[:4] == ["h2load", "-t1", "-c16", "-D1200ms"]
    assert {"-m8", "--data=/message", "--log-file=/log", "content-type: application/grpc"} <= set(words)
    assert "--h1" not in words


def test_an_http1_window_speaks_http1():
    """Requirement: the HTTP/1.1 scenario has no streams and no body."""
    words = h2load.command(Scenario("x", "", "saturation", 0, connections=64), "http://a:1/", 3, Path("/m"), None)
    assert words == ["h2load", "-t1", "-c64", "-D3000ms", "--h1", "http://a:1/"]
