"""`python -m bench.page`: the documentation's page of the bench's results, with its charts, from the results file.

`make bench` writes it at its end. With `--check` it writes nothing and says whether the page is that of the results.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from bench import chart, report, scenario
from bench.chart import Panel
from bench.figures import Record
from bench.goals import GOALS, Bound, Found, Goal, Results, Verdict
from bench.report import number
from bench.scenario import Scenario

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "bench.md"

CHARTS: Mapping[str, tuple[str, Sequence[tuple[str, str]]]] = {
    "cpu": (
        "CPU per request",
        [
            (name, "cpu_us_per_request")
            for name in ("pair-http1-64", "pair-http1-256", "pair-grpc", "grpc-stream", "hop-http1", "one")
        ],
    ),
    "rate": (
        "Requests per second at saturation",
        [
            (name, "requests_per_s")
            for name in ("pair-http1-64", "pair-http1-256", "pair-grpc", "grpc-stream", "hop-http1")
        ],
    ),
    "latency": (
        "Latency, and cores at a constant rate",
        [
            ("rate-1000", "p50_ms"),
            ("rate-1000", "p99_ms"),
            ("rate-1000", "cores"),
            ("one", "p50_ms"),
            ("one", "p99_ms"),
        ],
    ),
    "bulk": (
        "Large bodies and opaque bytes",
        [(name, metric) for name in ("bulk-1m", "bulk-100m", "tcp-bulk") for metric in ("gb_per_s", "cpu_s_per_gb")],
    ),
    "memory": (
        "Memory",
        [
            ("idle", "rss_idle_mb"),
            ("pair-http1-64", "rss_loaded_mb"),
            ("idle-1000", "kb_per_connection"),
            ("idle-10000", "kb_per_connection"),
            ("idle-10000", "rss_after_mb"),
            ("destinations-1000", "kb_per_destination"),
            ("series", "bytes_per_series"),
        ],
    ),
    "start": ("Start", [("start", "ready_ms"), ("start", "first_request_ms"), ("destinations-1000", "ready_ms")]),
    "connections": (
        "New connections",
        [
            (name, metric)
            for name in ("connect", "connect-no-resumption")
            for metric in ("requests_per_s", "cpu_us_per_request")
        ],
    ),
    "workers": (
        "One worker and two",
        [(name, metric) for name in ("workers-1", "workers-2") for metric in ("cpu_us_per_request", "requests_per_s")],
    ),
}
"""Each chart's title and panels, scenario and metric; what was not measured is left out."""

_METRICS = {
    "cpu_us_per_request": "CPU per request",
    "requests_per_s": "requests per second",
    "cores": "cores kept busy",
    "p50_ms": "half of the requests take at most (p50)",
    "p99_ms": "99 of 100 requests take at most (p99)",
    "gb_per_s": "throughput",
    "cpu_s_per_gb": "CPU per GB",
    "rss_idle_mb": "memory of a proxy at rest",
    "rss_loaded_mb": "memory of a proxy under load",
    "rss_after_mb": "memory of a proxy after the load",
    "kb_per_connection": "memory of the pair for each connection",
    "kb_per_destination": "memory for each destination",
    "bytes_per_series": "memory for each set of labels",
    "ready_ms": "from start to ready",
    "first_request_ms": "first request",
}

_INTRODUCTION = """\
# What it costs, measured

<!-- Written by `make bench` from bench/results/latest.json; `make bench-page` writes it again. -->

A pair of our proxies beside pairs of HAProxy and Envoy, one nginx where a scenario has a single hop, and a direct
connection, all in one run, interleaved. Where bytes are many there is also a `floor`: two relays in the proxies' places
that read 64 KiB and write them, without TLS and HTTP, through sockets as the kernel sets them up. Ours are set up for
more, so that it is no lower bound. Bars are medians, the lines on them reach from the lowest run to the highest. CPU,
latency and memory of connections and metrics are of both proxies together, other memory is per proxy. Only ratios
within one run mean anything; the absolute figures belong to the machine, and at saturation latencies are queueing
times.
"""

_REPEAT = """\
## How to repeat it

```console
$ make bench                        # as root; all scenarios, then this page
$ make bench SCENARIO=pair-grpc     # one scenario
$ make bench QUICK=1                # a smoke test: figures without meaning
$ make bench-page                   # this page again, from bench/results/latest.json
```

`bench/scenarios` has a small file for each scenario, `bench/goals.py` the goals. Every run replaces
`bench/results/latest.json` and this page, with what was measured in that run only.
"""


def main() -> int:
    """Write the page or check it; the exit code."""
    parser = argparse.ArgumentParser(prog="bench.page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="say whether the page is that of the results")
    arguments = parser.parse_args()
    described, records = report.read(report.RESULTS)
    if not arguments.check:
        publish(described, records)
        return 0
    stale = differing(PAGE.parent, pages(described, records, _scenarios()))
    for name in stale:
        sys.stderr.write(f"{PAGE.parent / name} is not that of {report.RESULTS}: run make bench-page\n")
    return 1 if stale else 0


def publish(described: Mapping[str, object], records: Sequence[Record]) -> None:
    """Write the documentation's page, and say where it is."""
    write(PAGE.parent, pages(described, records, _scenarios()))
    print(f"written: {PAGE}")


def pages(described: Mapping[str, object], records: Sequence[Record], scenarios: Sequence[Scenario]) -> dict[str, str]:
    """The page and its charts, by the names that they have beside each other."""
    charts = {name: text for name in CHARTS if (text := _chart(name, records))}
    sections = [
        _INTRODUCTION,
        _goals(Results(records)),
        _machine(described),
        "## Charts\n",
        *(f"### {CHARTS[name][0]}\n\n![{CHARTS[name][0]}](bench/{name}.svg)\n" for name in charts),
        _all(records, scenarios),
        _unmeasured(records, scenarios),
        _REPEAT,
    ]
    page = "\n".join(section for section in sections if section)
    return {PAGE.name: page, **{f"bench/{name}.svg": text for name, text in charts.items()}}


def write(directory: Path, files: Mapping[str, str]) -> None:
    """Write them below the directory; charts of figures that are no more are taken away."""
    (directory / "bench").mkdir(parents=True, exist_ok=True)
    for path in _surplus(directory, files):
        path.unlink()
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")


def differing(directory: Path, files: Mapping[str, str]) -> list[str]:
    """The names of what `write` would change."""
    changed = [name for name, text in files.items() if _text(directory / name) != text]
    return sorted(changed + [str(path.relative_to(directory)) for path in _surplus(directory, files)])


def _surplus(directory: Path, files: Mapping[str, str]) -> list[Path]:
    return [path for path in (directory / "bench").glob("*.svg") if str(path.relative_to(directory)) not in files]


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _scenarios() -> list[Scenario]:
    found = scenario.load([])
    if isinstance(found, str):
        raise ValueError(found)
    return found


def _chart(name: str, records: Sequence[Record]) -> str:
    """The SVG; empty where nothing of it was measured."""
    title, wanted = CHARTS[name]
    panels = [
        Panel(f"{of}: {_METRICS[metric]}", found)
        for of, metric in wanted
        if (found := [record for record in records if (record.scenario, record.metric) == (of, metric)])
    ]
    return chart.draw(title, panels) if panels else ""


def _goals(results: Results) -> str:
    rows = []
    for goal in GOALS:
        must, aim = results.judge(goal, goal.must), results.judge(goal, goal.aim)
        rows.append((f"`{goal.scenario}`: {goal.what}", *_bound(goal, goal.must, must), *_bound(goal, goal.aim, aim)))
    missed = sum(results.judge(goal, goal.must).verdict is Verdict.MISSED for goal in GOALS)
    unmeasured = sum(results.judge(goal, goal.must).verdict is Verdict.UNMEASURED for goal in GOALS)
    said = (
        f"{len(rows) - missed - unmeasured} of {len(rows)} musts are met, {missed} missed, {unmeasured} not measured."
    )
    return f"## Goals\n\n{said}\n\n" + _table(("goal", "must", "found", "", "aim", "found", ""), rows)


def _bound(goal: Goal, bound: Bound | None, found: Found) -> tuple[str, str, str]:
    if bound is None:
        return "", "", ""
    sign = "≥" if goal.least else "≤"
    if bound.absolute:
        unit = "MB" if goal.metric.endswith("_mb") else "KB" if goal.metric.startswith("kb_") else "ms"
        limit = f"{sign} {bound.limit:g} {unit}"
    else:
        # Of our own other metric: that of before.
        limit = f"{sign} {bound.limit:g} of {bound.peer or bound.scenario or 'before'}"
    value = "" if found.value is None else number(found.value)
    verdict = "**missed**" if found.verdict is Verdict.MISSED else str(found.verdict)
    return limit, value, verdict


def _machine(described: Mapping[str, object]) -> str:
    rows = [
        (title, name.replace("_", " "), str(value))
        for title, pairs in described.items()
        if isinstance(pairs, Mapping)
        for name, value in pairs.items()
        if value != ""
    ]
    return "## Machine and versions\n\n" + _table(("", "", ""), rows)


def _all(records: Sequence[Record], scenarios: Sequence[Scenario]) -> str:
    """Every figure, by scenario."""
    titles = {each.name: each.title for each in scenarios}
    sections = ["## All figures\n"]
    for name, of_scenario in groupby(records, lambda record: record.scenario):
        rows = list(_rows(of_scenario))
        heading = f"`{name}`" + (f": {titles[name]}" if name in titles else "")
        sections.append(f"{heading}\n\n" + _table(("metric", "unit", "peer", "median", "low", "high", "runs"), rows))
    return "\n".join(sections)


def _rows(records: Iterable[Record]) -> Iterator[tuple[str, ...]]:
    by_metric = sorted(
        records, key=lambda record: list(_METRICS).index(record.metric) if record.metric in _METRICS else -1
    )
    for record in by_metric:
        figures = (number(record.median), number(record.low), number(record.high))
        yield f"`{record.metric}`", record.unit, record.peer, *figures, str(record.runs)


def _unmeasured(records: Sequence[Record], scenarios: Sequence[Scenario]) -> str:
    """Scenarios that are there and have no figures; empty when there are none."""
    measured = {record.scenario for record in records}
    missing = [f"- `{each.name}`: {each.title}" for each in scenarios if each.name not in measured]
    return "## Not measured in this run\n\n" + "\n".join(missing) + "\n" if missing else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
