"""The page of results: made of whatever records there are, and the same for the same records."""

from pathlib import Path
from xml.etree import ElementTree as ET

from bench import page, report
from bench.chart import Panel, draw
from bench.figures import Record
from bench.goals import GOALS
from bench.scenario import Scenario

DESCRIBED = {"machine": {"cores": 2, "kernel": "6.1"}, "versions": {"envoy": "1.40.0", "nginx": ""}}
SCENARIOS = [Scenario("idle", "at rest", "idle", 0), Scenario("pair-http1-64", "mTLS pair", "saturation", 1)]
RECORDS = [
    Record("idle", "weft", "rss_idle_mb", "MB", 7.0, 6.9, 7.1, 3),
    Record("idle", "envoy", "rss_idle_mb", "MB", 63.0, 62.0, 64.0, 3),
]
SVG = "{http://www.w3.org/2000/svg}"


def made(records: list[Record] = RECORDS) -> dict[str, str]:
    return page.pages(DESCRIBED, records, SCENARIOS)


def test_the_page_says_what_was_found_and_what_was_not():
    """Requirement: figures, verdicts, machine; a scenario without records is named; an empty version is not."""
    said = made()["bench.md"]
    assert "| `idle`: memory at rest | ≤ 8 MB | 7.00 | met | ≤ 5 MB | 7.00 | **missed** |" in said
    assert "| `rss_idle_mb` | MB | envoy | 63.0 | 62.0 | 64.0 | 3 |" in said
    assert "| machine | kernel | 6.1 |" in said
    assert "| versions | nginx" not in said
    _, unmeasured = said.split("## Not measured in this run")
    assert "- `pair-http1-64`: mTLS pair" in unmeasured
    assert "- `idle`" not in unmeasured
    assert f"1 of {len(GOALS)} musts are met, 0 missed, {len(GOALS) - 1} not measured." in said


def test_only_charts_with_figures_are_there_and_all_are_shown():
    """Requirement: no empty chart, no link to a chart that is not there, none that is not shown."""
    files = made()
    assert files.keys() == {"bench.md", "bench/memory.svg"}
    assert "![Memory](bench/memory.svg)" in files["bench.md"]
    assert files["bench.md"].count("![") == 1
    assert made([]).keys() == {"bench.md"}


def test_a_record_of_no_chart_is_among_all_figures():
    """Requirement: a scenario that the page was not told of is not lost."""
    said = made([Record("new", "weft", "hops", "1", 3.0, 3.0, 3.0, 1)])["bench.md"]
    assert "`new`\n" in said
    assert "| `hops` | 1 | weft | 3.00 | 3.00 | 3.00 | 1 |" in said


def test_what_was_written_is_not_stale_and_what_is_left_over_is(tmp_path: Path):
    """Requirement: the check finds a changed page, a missing chart and one too many; writing cures all."""
    files = made()
    page.write(tmp_path, files)
    assert page.differing(tmp_path, files) == []
    (tmp_path / "bench.md").write_text("old")
    (tmp_path / "bench/memory.svg").rename(tmp_path / "bench/gone.svg")
    assert page.differing(tmp_path, files) == ["bench.md", "bench/gone.svg", "bench/memory.svg"]
    page.write(tmp_path, files)
    assert page.differing(tmp_path, files) == []


def test_records_are_read_as_they_were_written(tmp_path: Path):
    """Requirement: the page can be made from the results file alone."""
    report.write(tmp_path / "latest.json", DESCRIBED, RECORDS)
    assert report.read(tmp_path / "latest.json") == (DESCRIBED, RECORDS)


def test_bars_are_as_long_as_their_figures():
    """Requirement: one scale in a panel, from zero; whiskers from low to high; ours stands out; names are escaped."""
    records = [
        Record("a", "weft", "p50_ms", "ms", 2.0, 1.0, 4.0, 3),
        Record("a", "a<b", "p50_ms", "ms", 1.0, 1.0, 1.0, 3),
    ]
    root = ET.fromstring(draw("Latency & more", [Panel("p50", records)]))
    ours, other = root.iter(f"{SVG}rect")
    assert (ours.get("class"), other.get("class")) == ("ours", None)
    assert float(ours.get("width", 0)) == 2 * float(other.get("width", 0)) > 0
    whisker = next(root.iter(f"{SVG}path")).get("d", "")
    low, high = (float(whisker[1:].split()[0]), float(whisker.split("H")[1].split("M")[0]))
    middle = float(ours.get("x", 0)) + float(ours.get("width", 0))
    assert low < middle < high
    assert high - middle == 2 * (middle - low)
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert texts == ["p50", "weft", "2.00 ms (1.00 to 4.00)", "a<b", "1.00 ms (1.00 to 1.00)"]


def test_panels_do_not_overlap():
    """Requirement: the next panel begins below the last bar of the one before, and the last one ends inside."""
    root = ET.fromstring(draw("Two", [Panel("one", RECORDS), Panel("two", RECORDS)]))
    places = [float(each.get("y", 0)) for each in root.iter() if each.tag in {f"{SVG}rect", f"{SVG}text"}]
    titles = [float(each.get("y", 0)) for each in root.iter(f"{SVG}text") if each.get("class") == "title"]
    bars = [float(bar.get("y", 0)) for bar in root.iter(f"{SVG}rect")]
    assert titles[0] < bars[0] < bars[1] < titles[1] < bars[2] < bars[3]
    assert max(places) < float(root.get("height", 0))
