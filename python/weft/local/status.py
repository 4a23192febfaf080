"""The status of documents as commands show it: in the form in which Kubernetes keeps it, without times.

What the conditions are is `weft.compile.status`'s to say; here they are only put beside the documents.
"""

from collections.abc import Mapping

from weft.compile.status import KINDS, Condition, Status, statuses
from weft.local import policy
from weft.local.checks import Finding, Outcome
from weft.model import ObjectId
from weft.model.route import ParentRef
from weft.model.snapshot import Snapshot

Row = dict[str, object]
CONTROLLER = "mesh.weft.dev/control-plane"


def beside(rows: list[Row], mesh: str) -> list[Row]:
    """Return the rows with `state`, a word or two for a table, and `status` inside `content`, where there is one."""
    if not any(row["kind"] in KINDS for row in rows):
        return rows
    told = statuses(policy.snapshot(mesh))
    return [_row(row, told) for row in rows]


def findings(snapshot: Snapshot) -> list[Finding]:
    """Say what is not obeyed as it is written."""
    told = statuses(snapshot)
    wrong = [
        f"{which}: {condition.reason}, {condition.message}"
        for which, found in told.items()
        for each in found
        for condition in each.wrong
    ]
    wrong = list(dict.fromkeys(wrong))  # a backend is gone for every parent alike
    if not wrong:
        return [Finding("mesh", "routes and policies are obeyed as written", Outcome.OK)]
    hint = "weft describe KIND NAME has all conditions of a document"
    return [Finding("mesh", "routes and policies are obeyed as written", Outcome.WARNING, each, hint) for each in wrong]


def _row(row: Row, told: Mapping[ObjectId, tuple[Status, ...]]) -> Row:
    which = ObjectId(str(row["group"]), str(row["kind"]), str(row["namespace"]), str(row["name"]))
    found, content = told.get(which), row["content"]
    if found is None or not isinstance(content, dict):
        return row
    wrong = dict.fromkeys(condition.reason for each in found for condition in each.wrong)
    state = ",".join(wrong) or ("Accepted" if found else "-")
    return {**row, "state": state, "content": {**content, "status": _status(found)}}


def _status(found: tuple[Status, ...]) -> dict[str, object]:
    if not any(each.parent for each in found) and found:
        return {"conditions": [_condition(each) for status in found for each in status.conditions]}
    parents = [
        {
            "parentRef": _parent(each.parent),
            "controllerName": CONTROLLER,
            "conditions": [_condition(condition) for condition in each.conditions],
        }
        for each in found
        if each.parent
    ]
    return {"parents": parents}


def _condition(each: Condition) -> dict[str, object]:
    said = {"type": each.type, "status": "True" if each.holds else "False", "reason": each.reason}
    return {**said, "message": each.message}


def _parent(parent: ParentRef) -> dict[str, object]:
    fields = {
        "group": parent.group,
        "kind": parent.kind,
        "namespace": parent.namespace,
        "name": parent.name,
        "sectionName": parent.section,
        "port": parent.port,
    }
    return {name: value for name, value in fields.items() if value or name == "group"}
