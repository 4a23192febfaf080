"""Samples become records; records become ratios and a file."""

import json
from dataclasses import replace

from bench import processes, report, scenario
from bench.figures import Record, Samples, percentile


def record(peer: str, median: float) -> Record:
    return Record("pair", peer, "p50_ms", "ms", median, median, median, 1)


def test_a_record_has_the_median_and_the_spread():
    """Requirement: an odd run out changes the spread, not the figure."""
    samples = Samples()
    for value in (3.0, 90.0, 2.0):
        samples.add("pair", "weft", {"p50_ms": value})
    samples.add("pair", "envoy", {"p50_ms": 6.0})
    assert samples.records() == [
        Record("pair", "weft", "p50_ms", "ms", 3.0, 2.0, 90.0, 3),
        Record("pair", "envoy", "p50_ms", "ms", 6.0, 6.0, 6.0, 1),
    ]


def test_records_of_a_scenario_stand_together():
    """Requirement: also where scenarios were asked in turns, and one had nothing to say at first."""
    samples = Samples()
    for name, peer in (("one", "weft"), ("two", "weft"), ("one", "envoy"), ("two", "envoy")):
        samples.add(name, peer, {"p50_ms": 1.0})
    said = [(each.scenario, each.peer) for each in samples.records()]
    assert said == [("one", "weft"), ("one", "envoy"), ("two", "weft"), ("two", "envoy")]


def test_a_percentile_is_one_of_the_samples():
    """Requirement: nearest rank, the last sample at most."""
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0
    assert percentile([1.0], 0.99) == 1.0


def test_ratios_are_to_the_named_peer_of_the_same_rows():
    """Requirement: no ratio to itself, to nobody, or to zero."""
    weft, envoy = record("weft", 2.0), record("envoy", 8.0)
    assert report.ratio(weft, [weft, envoy], "envoy") == "0.25"
    assert report.ratio(envoy, [weft, envoy], "envoy") == ""
    assert report.ratio(weft, [weft, record("envoy", 0.0)], "envoy") == ""


def test_the_results_file_is_a_list_with_the_machine_first(tmp_path):
    """Requirement: names of the fields as other programs read them."""
    file = tmp_path / "new" / "latest.json"
    report.write(file, {"machine": {"cores": 2}}, [record("weft", 2.0)])
    first, second = json.loads(file.read_text())
    assert first == {"machine": {"cores": 2}}
    assert second == {
        "scenario": "pair",
        "peer": "weft",
        "metric": "p50_ms",
        "unit": "ms",
        "median": 2.0,
        "low": 2.0,
        "high": 2.0,
        "runs": 1,
    }


def test_cpu_time_is_found_behind_any_program_name():
    """Requirement: utime + stime, also of a program whose name holds brackets and blanks."""
    fields = " ".join(str(number) for number in range(4, 53))
    assert processes.parse_stat(f"42 (a) b (c) S {fields}") == 14 + 15


def test_every_scenario_can_be_read_and_memory_at_rest_comes_first():
    """Requirement: the files are valid; nothing loads a proxy before it was weighed."""
    found = scenario.load([])
    assert isinstance(found, list)
    assert found[0].kind == "idle"
    assert {each.name for each in found} >= {"idle", "start", "pair-http1-64", "pair-grpc"}


def test_scenarios_of_one_kind_differ_in_what_they_are_for():
    """Requirement: the two of each comparison are alike but for the thing compared."""
    named = {each.name: each for each in scenario.load([])}
    assert replace(named["workers-1"].tuning, workers=2) == named["workers-2"].tuning
    assert named["workers-1"].tuning.everywhere
    assert replace(named["connect"].tuning, resumption=False) == named["connect-no-resumption"].tuning
    plain = [each for each in named.values() if each.tuning != scenario.DEFAULT]
    assert {each.kind for each in plain} == {"saturation", "connect", "destinations"}


def test_an_unknown_scenario_is_named_with_those_there_are():
    """Requirement: a wrong name is told, not skipped."""
    said = scenario.load(["idel"])
    assert isinstance(said, str)
    assert "idel" in said
    assert "pair-grpc" in said
