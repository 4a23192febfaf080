"""What `weft check` finds in the certificates of a mesh."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from weft.local import checks
from weft.local.checks import Outcome

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def certificate(name: str, left: timedelta, life: timedelta) -> dict[str, object]:
    end = NOW + left
    return {
        "subject": name,
        "issuer": "somebody",
        "not_before": (end - life).isoformat(),
        "not_after": end.isoformat(),
        "sha256": name,
    }


YEAR, DAY, HOUR = timedelta(days=365), timedelta(days=1), timedelta(hours=1)
ANCHOR = certificate("root", 9 * YEAR, 10 * YEAR)


def mesh(**changes: Any) -> dict[str, object]:
    """A mesh that is well, but for what the test changes of it or of its one workload."""
    workload = {
        "namespace": "default",
        "name": "web-0",
        "chain": [certificate("web", 20 * HOUR, DAY)],
        "anchors": [ANCHOR],
        "answered": True,
    }
    said = {"issuer": certificate("issuer", YEAR, YEAR), "anchors": [ANCHOR], "issuer_problem": None}
    said |= {name: value for name, value in changes.items() if name in said}
    workload |= {name: value for name, value in changes.items() if name in ("chain", "answered")}
    return said | {"workloads": [workload | changes.get("workload", {})]}


def found(said: dict[str, object]) -> dict[str, tuple[Outcome, str]]:
    """What is not well, by name; everything that is not has a hint."""
    findings = [each for each in checks.identity(said, NOW) if each.outcome is not Outcome.OK]
    assert all(each.hint for each in findings)
    return {each.name: (each.outcome, each.detail) for each in findings}


def test_nothing_is_said_of_a_mesh_that_is_well() -> None:
    """Requirement: all checks are named, and all are well."""
    assert found(mesh()) == {}
    assert len({each.name for each in checks.identity(mesh(), NOW)}) == 6


@pytest.mark.parametrize(
    ("changes", "name", "outcome", "words"),
    [
        ({"anchors": [certificate("root", 59 * DAY, 10 * YEAR)]}, "trust anchors last", Outcome.WARNING, "2026-03-01"),
        ({"anchors": [certificate("root", -DAY, 10 * YEAR)]}, "trust anchors last", Outcome.FAILED, "2025-12-31"),
        ({"issuer": certificate("issuer", 59 * DAY, YEAR)}, "the issuer lasts", Outcome.WARNING, "2026-03-01"),
        ({"issuer": certificate("issuer", -HOUR, YEAR)}, "the issuer lasts", Outcome.FAILED, "2025-12-31"),
        ({"issuer_problem": {"reason": "x", "hint": "y"}}, "the issuer can be used", Outcome.FAILED, "x"),
        ({"chain": []}, "every workload has a certificate", Outcome.FAILED, "default/web-0"),
        (
            {"chain": [certificate("web", 5 * HOUR, DAY)]},
            "certificates are renewed in time",
            Outcome.WARNING,
            "default/web-0",
        ),
        (
            {"workload": {"anchors": [certificate("old", YEAR, YEAR)]}},
            "everybody trusts the same anchors",
            Outcome.WARNING,
            "default/web-0",
        ),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], name: str, outcome: Outcome, words: str) -> None:
    """Requirement: warnings come 60 days before an authority ends, and when a renewal is overdue."""
    said = found(mesh(**changes))
    assert said[name][0] is outcome
    assert words in said[name][1]


def test_a_short_lived_issuer_is_not_always_about_to_end() -> None:
    """Requirement: an issuer that cert-manager renews every few days is warned of when that does not happen."""
    assert found(mesh(issuer=certificate("issuer", DAY, 2 * DAY))) == {}
    assert "the issuer lasts" in found(mesh(issuer=certificate("issuer", 12 * HOUR, 2 * DAY)))
