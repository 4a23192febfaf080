"""The page that tells users what an error of the proxy means."""

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "errors.md"


def table() -> str:
    """The error table of the tests, as the page shows it."""
    rows = json.loads((ROOT / "tests" / "vectors" / "refusals.json").read_text())
    lines = ["| `error` | where | HTTP | gRPC | closes | stage | blame | retry | meaning |", "|---" * 9 + "|"]
    for row in rows:
        words = (", ".join(row[name]) for name in ("stages", "blames", "retry"))
        closes = "yes" if row["closes"] else "no"
        cells = [f"`{row['label']}`", row["direction"], row["http"], row["grpc"], closes, *words, row["meaning"]]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def test_the_page_holds_the_error_table() -> None:
    """Requirement: the documented errors are those of the table that the proxy is tested against."""
    assert table() in PAGE.read_text(), f"{PAGE} should hold this table:\n{table()}"
