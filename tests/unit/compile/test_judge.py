"""The table of verdicts: documents are compiled and judged as its rows demand. Rust reads the same rows."""

from typing import Any

import pytest
from tests.policy_table import SCENARIOS
from tests.policy_vectors import FILE, compiled, text, vectors

from weft.compile.answer import InboundPolicy
from weft.compile.judge import Client, Outcome, Request, judge

ROWS = [
    (compiled(scenario), row) for scenario, written in zip(SCENARIOS, vectors(), strict=True) for row in written["rows"]
]


@pytest.mark.parametrize(("policy", "row"), ROWS, ids=[f"{n}: {row['requirement']}" for n, (_, row) in enumerate(ROWS)])
def test_a_verdict_is_the_tables(policy: InboundPolicy, row: dict[str, Any]) -> None:
    """Requirement: the grant that lets in, the route, and the words of a refusal are those of the table."""
    client = Client(
        row["address"],
        identity="" if row["client"] in ("-", "tls") else row["client"],
        tls=row["client"] != "-",
    )
    asked = row["request"]
    request = asked and Request(
        asked["method"], asked["path"], asked["host"], tuple((name, value) for name, value in asked["headers"])
    )
    verdict = judge(policy, client, request)
    if row["allowed"]:
        assert verdict.authorization, verdict.reason
        assert (verdict.authorization.name, verdict.route and verdict.route.name) == (row["allowed"], row["route"])
        assert (verdict.outcome is Outcome.AUDITED) is row["audited"]
    else:
        outcome = Outcome.NO_ROUTE if row["no_route"] else Outcome.DENIED
        assert (verdict.outcome, verdict.reason) == (outcome, row["no_route"] or row["denied"])


def test_the_table_is_large_enough_and_its_file_is_made_from_it() -> None:
    """Requirement: at least 120 rows; `tests/vectors/policy.json` is what `python -m tests.policy_vectors` makes."""
    assert len(ROWS) >= 120
    assert FILE.read_text() == text(), "run make generate"
