"""`weft describe`: one document with all that belongs to it."""

from __future__ import annotations

from typing import Any

import click

from weft.cli._documents import found, kind_argument, name_argument, resource
from weft.cli._shared import Rows, as_yaml, fail, mesh_option, outputs, table, told


@click.command()
@kind_argument
@name_argument
@click.option("-n", "--namespace", default="default", show_default=True, help="The document's namespace.")
@outputs("text")
@mesh_option
def command(kind: str, name: str | None, namespace: str, output: str, mesh: str) -> None:
    """Show a document, where it was written, what refers to it and, of a Workload, its replicas."""
    from weft.lib.errors import WeftError
    from weft.local import client, status

    try:
        everything = status.beside(client.rows(mesh, {"do": "documents"}), mesh)
        chosen = found(everything, kind, name, namespace)
        replicas = client.rows(mesh, {"do": "ps"})
    except WeftError as problem:
        fail(problem)
    if not told([_value(row, everything, replicas) for row in chosen], output):
        click.echo("\n\n".join(_text(row, everything, replicas) for row in chosen))


def _value(row: dict[str, object], everything: Rows, replicas: Rows) -> dict[str, object]:
    return {
        "document": row["content"],
        "origin": row["origin"],
        "source": row["source"],
        "replicas": [each for each in replicas if _belongs(each, row)],
        "referred_to_by": [
            {"document": resource(each), "namespace": each["namespace"], "origin": each["origin"]}
            for each in everything
            if _refers(each, row, everything)
        ],
    }


def _text(row: dict[str, object], everything: Rows, replicas: Rows) -> str:
    content = row["content"]
    assert isinstance(content, dict)
    about = content.get("metadata", {})
    lines = [
        f"Name:         {row['name']}",
        *([f"Namespace:    {row['namespace']}"] if row["namespace"] else []),
        f"Kind:         {row['kind']} ({content.get('apiVersion')})",
        f"Origin:       {row['origin'] or '-'} ({SOURCES[str(row['source'])]})",
        *_mapping("Labels", about.get("labels")),
        *_mapping("Annotations", about.get("annotations")),
    ]
    for part in ("spec", "status"):
        if part in content and not (part == "status" and "state" in row):
            lines += [f"{part.capitalize()}:", *(f"  {line}" for line in as_yaml(content[part]).splitlines())]
    if "state" in row:
        lines += _conditions(content["status"])
    own = [each for each in replicas if _belongs(each, row)]
    if own:
        titles = ["NAME", "READY", "RESTARTS", "ADDRESS", "STATUS"]
        cells = [[str(each[t.lower()]) for t in titles] for each in own]
        lines += ["Replicas:", *(f"  {line}" for line in table(titles, cells).splitlines())]
    related = [each for each in everything if _refers(each, row, everything)]
    if related:
        lines += ["Referred to by:", *(f"  {resource(each)}  {each['origin']}".rstrip() for each in related)]
    return "\n".join(lines)


def _conditions(status: dict[str, Any]) -> list[str]:
    """One line for each condition; of a route, for each of its parents."""
    parts = [("-", status["conditions"])] if "conditions" in status else []
    for each in status.get("parents", []):
        ref = each["parentRef"]
        port = ref.get("port") or ref.get("sectionName")
        parts.append(
            (f"{ref['kind']}/{ref['namespace']}/{ref['name']}" + (f":{port}" if port else ""), each["conditions"])
        )
    titles = ["PARENT", "CONDITION", "STATUS", "REASON", "MESSAGE"]
    cells = [
        [parent, each["type"], each["status"], each["reason"], each["message"] or "-"]
        for parent, conditions in parts
        for each in conditions
    ]
    if not cells:
        return ["Conditions:   none: it has no parent that is one here"]
    shown = [line[1:] for line in cells] if all(line[0] == "-" for line in cells) else cells
    return ["Conditions:", *(f"  {line}" for line in table(titles[-len(shown[0]) :], shown).splitlines())]


def _mapping(title: str, value: object) -> list[str]:
    pairs = [f"{key}={each}" for key, each in value.items()] if isinstance(value, dict) else []
    return [f"{(title + ':' if not index else ''):<14}{pair}" for index, pair in enumerate(pairs)]


def _belongs(replica: dict[str, object], row: dict[str, object]) -> bool:
    if replica["namespace"] != row["namespace"]:
        return False
    if row["kind"] == "Workload":
        return str(replica["name"]).rpartition("-")[0] == row["name"]
    return row["kind"] == "Pod" and replica["name"] == row["name"]


def _refers(other: dict[str, object], row: dict[str, object], everything: Rows) -> bool:
    """By name (parentRefs, targetRef, backendRefs), or by a selector that takes in the row's pods."""
    if other is row or other["kind"] in ("Pod", "Workload", "Namespace"):
        return False
    if other["kind"] == "ServiceProfile" and row["kind"] == "Service":
        return str(other["name"]).startswith(f"{row['name']}.{row['namespace']}.svc.")
    spec = _spec(other)
    refs = [*spec.get("parentRefs", []), *filter(None, [spec.get("targetRef")])]
    refs += [ref for rule in spec.get("rules", []) if isinstance(rule, dict) for ref in rule.get("backendRefs", [])]
    refs += spec.get("requiredAuthenticationRefs", [])
    if any(
        ref.get("name") == row["name"]
        and ref.get("kind", "Service") == row["kind"]
        and ref.get("namespace", other["namespace"]) == row["namespace"]
        for ref in refs
        if isinstance(ref, dict)
    ):
        return True
    if row["kind"] not in ("Workload", "Pod") or other["namespace"] != row["namespace"]:
        return False
    selector = spec.get("selector")
    if other["kind"] != "Service":
        pods = spec.get("podSelector")
        selector = pods.get("matchLabels") if isinstance(pods, dict) else None
    if not isinstance(selector, dict) or not selector:
        return False
    return any(set(selector.items()) <= labels for labels in _pod_labels(row, everything))


def _pod_labels(row: dict[str, object], everything: Rows) -> list[set[tuple[str, str]]]:
    pods = [each for each in everything if each["kind"] == "Pod" and each["namespace"] == row["namespace"]]
    own = [each for each in pods if row["kind"] == "Workload" and _belongs(each, row)] or [row]
    return [set(_content(each)["metadata"].get("labels", {}).items()) for each in own]


def _spec(row: dict[str, object]) -> dict[str, Any]:
    spec = _content(row).get("spec")
    return spec if isinstance(spec, dict) else {}


def _content(row: dict[str, object]) -> dict[str, Any]:
    content = row["content"]
    assert isinstance(content, dict)
    return content


SOURCES = {"file": "from a file", "command": "by `weft apply` or `weft scale`", "made": "made by local mode"}
