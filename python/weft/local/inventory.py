"""Every document of a running mesh, for `weft get` and its like: written by users, or made by local mode. Pure."""

from collections.abc import Mapping

from weft.local.documents import Documents
from weft.model import ObjectId

Row = dict[str, object]


def rows(documents: Documents, objects: Mapping[str, object]) -> list[Row]:
    """One row a document: its id, where it comes from, `content` as it is in force, `written` as a user wrote it."""
    written = {(each.group, each.kind, each.namespace, each.name): each for each in documents.written}
    found: list[Row] = [
        _row(each.group, each.kind, each.namespace, each.name, each.origin, each.content)
        for each in documents.written
        if each.kind == "Workload"
    ]
    for content in objects.values():
        assert isinstance(content, dict)
        about = content["metadata"]
        group = str(content["apiVersion"]).rpartition("/")[0]
        namespace = "" if content["kind"] == "Namespace" else about.get("namespace", "default")
        origin = about.get("annotations", {}).get("mesh.weft.dev/origin", "")
        found.append(_row(group, content["kind"], namespace, about["name"], origin, content))
    for row in found:
        key = (str(row["group"]), str(row["kind"]), str(row["namespace"]), str(row["name"]))
        user = written.get(key)
        row["written"] = user.content if user else None
        row["source"] = "made" if user is None else "command" if _by_command(documents, key) else "file"
    return sorted(found, key=lambda row: (str(row["kind"]), str(row["namespace"]), str(row["name"])))


def _row(group: str, kind: str, namespace: str, name: str, origin: str, content: object) -> Row:
    return {"group": group, "kind": kind, "namespace": namespace, "name": name, "origin": origin, "content": content}


def _by_command(documents: Documents, key: tuple[str, str, str, str]) -> bool:
    return ObjectId(*key) in documents.overrides.entries
