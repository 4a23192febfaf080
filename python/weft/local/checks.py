"""What `weft check` finds: the form of a finding, and the checks of a mesh's certificates.

Pure: it judges what the mesh said. What is tried on the machine is `weft.local.machine`'s.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum


class Outcome(Enum):
    """A warning is for people to act on in time; what failed does not work now."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `detail` and `hint` are empty where all is well."""

    section: str
    name: str
    outcome: Outcome
    detail: str = ""
    hint: str = ""


def identity(said: Mapping[str, object], now: datetime) -> list[Finding]:
    """Whether everybody has a certificate that will last, from what `weft identity -o json` shows."""
    workloads, anchors = _rows(said["workloads"]), _rows(said["anchors"])
    issuer = _rows([said["issuer"]])
    return [
        *_lasting("trust anchors last", anchors, now, "weft identity rotate-anchors"),
        *_lasting("the issuer lasts", issuer, now, "weft identity rotate-issuer"),
        _usable(said.get("issuer_problem")),
        _about(
            "every workload has a certificate",
            Outcome.FAILED,
            [_key(each) for each in workloads if not each["chain"]],
            "look at their proxies: weft logs --proxy NAME",
        ),
        _about(
            "certificates are renewed in time",
            Outcome.WARNING,
            [_key(each) for each in workloads if any(_overdue(leaf, now) for leaf in _rows(each["chain"])[:1])],
            "see why not: weft logs --proxy NAME; without a new one they are refused at their end",
        ),
        _about(
            "everybody trusts the same anchors",
            Outcome.WARNING,
            [_key(each) for each in workloads if each["answered"] and _digests(each["anchors"]) != _digests(anchors)],
            "a rotation has stopped half way: weft identity rotate-anchors",
        ),
    ]


def _lasting(name: str, certificates: Sequence[Mapping[str, object]], now: datetime, hint: str) -> Iterator[Finding]:
    ended = [each for each in certificates if _end(each) <= now]
    soon = [each for each in certificates if each not in ended and _end(each) - now < _warned_before(each)]
    words = ", ".join(f"{each['subject']} ends on {str(each['not_after'])[:10]}" for each in (*ended, *soon))
    outcome = Outcome.FAILED if ended else Outcome.WARNING if soon else Outcome.OK
    yield Finding("identity", name, outcome, words, hint if words else "")


def _usable(problem: object) -> Finding:
    if not isinstance(problem, dict):
        return Finding("identity", "the issuer can be used", Outcome.OK)
    return Finding("identity", "the issuer can be used", Outcome.FAILED, str(problem["reason"]), str(problem["hint"]))


def _about(name: str, outcome: Outcome, whom: Sequence[str], hint: str) -> Finding:
    if not whom:
        return Finding("identity", name, Outcome.OK)
    return Finding("identity", name, outcome, f"not {', '.join(whom)}", hint)


def _overdue(leaf: Mapping[str, object], now: datetime) -> bool:
    return _end(leaf) - now < _life(leaf) * OVERDUE


def _warned_before(certificate: Mapping[str, object]) -> timedelta:
    return min(WARNED_BEFORE, _life(certificate) * WARNED_SHARE)


def _life(certificate: Mapping[str, object]) -> timedelta:
    return _end(certificate) - datetime.fromisoformat(str(certificate["not_before"]))


def _end(certificate: Mapping[str, object]) -> datetime:
    return datetime.fromisoformat(str(certificate["not_after"]))


def _digests(certificates: object) -> set[object]:
    return {each["sha256"] for each in _rows(certificates)}


def _key(row: Mapping[str, object]) -> str:
    return f"{row['namespace']}/{row['name']}"


def _rows(value: object) -> list[dict[str, object]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


WARNED_BEFORE = timedelta(days=60)
"""Time enough for a rotation that has to be agreed on, as Linkerd's check has it ..."""
WARNED_SHARE = 0.3
"""... but an issuer that somebody renews every day is not about to end all its life."""
OVERDUE = 0.25
"""Proxies renew when 30 % of the life is left."""
