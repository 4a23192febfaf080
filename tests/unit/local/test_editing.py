"""What commands change in a running mesh, and for how long."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from weft.lib.errors import WeftError
from weft.local.documents import Documents
from weft.local.editing import Editing
from weft.model import ObjectId

WEB = """
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: web}
spec: {command: [serve], replicas: 2}
"""
SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {ports: [{port: 80}]}
"""
WORKLOAD = ObjectId("mesh.weft.dev", "Workload", "default", "web")
FRONT = ObjectId("", "Service", "default", "front")


@dataclass
class Mesh:
    """A mesh that only remembers what it was made."""

    file: Path
    said: list[str] = field(default_factory=list)
    made: list[Documents] = field(default_factory=list)

    async def start(self, text: str) -> Editing:
        self.file.write_text(text)
        editing = Editing([self.file], self.put_in_force, self.said.append)
        assert not isinstance(await editing.start(), list)
        return editing

    async def put_in_force(self, documents: Documents, really: bool) -> None:
        if any(each.replicas > 9 for each in documents.workloads):
            raise WeftError("too many")
        if really:
            self.made.append(documents)

    @property
    def replicas(self) -> list[int]:
        return [each.replicas for each in self.made[-1].workloads]


@pytest.fixture
def mesh(tmp_path: Path) -> Mesh:
    return Mesh(tmp_path / "mesh.yaml")


@pytest.mark.anyio
async def test_a_scaled_workload_stays_so_until_its_own_document_changes(mesh: Mesh) -> None:
    """Requirement: edits of other documents keep the number; an edit of the workload's is in force again."""
    editing = await mesh.start(WEB)
    assert await editing.scale(WORKLOAD, 5) == []
    assert mesh.replicas == [5]
    mesh.file.write_text(WEB + SERVICE)
    await editing._apply_edit()
    assert mesh.replicas == [5]
    assert len(mesh.made[-1].services) == 1
    mesh.file.write_text(WEB.replace("replicas: 2", "replicas: 3"))
    await editing._apply_edit()
    assert mesh.replicas == [3]
    assert mesh.said[-1] == "the edit is applied; as in the files again: Workload/default/web"
    mesh.file.write_text(WEB)
    await editing._apply_edit()
    assert mesh.replicas == [2]


@pytest.mark.anyio
async def test_documents_are_put_in_and_taken_out(mesh: Mesh) -> None:
    """Requirement: apply says what happens to each, a dry run changes nothing, delete takes out what is there."""
    editing = await mesh.start(WEB)
    texts = [("other.yaml", SERVICE + "---" + WEB.replace("serve", "other"))]
    said = [("Service/default/front", "created"), ("Workload/default/web", "configured")]
    assert await editing.apply(texts, dry_run=True) == said
    assert mesh.made == []
    assert await editing.apply(texts, dry_run=False) == said
    assert mesh.made[-1].workloads[0].command == ("other",)
    assert {word for _, word in await editing.apply(texts, dry_run=False)} == {"unchanged"}
    assert await editing.apply([("mesh.yaml", WEB)], dry_run=False) == [("Workload/default/web", "configured")]
    assert editing.documents.overrides.entries.keys() == {FRONT}
    assert await editing.delete([FRONT]) == []
    assert mesh.made[-1].services == ()
    with pytest.raises(WeftError, match="Service/default/front"):
        await editing.delete([FRONT])


@pytest.mark.anyio
async def test_what_is_bad_changes_nothing(mesh: Mesh) -> None:
    """Requirement: bad documents, combinations and edits, and what the machine refuses, leave the last good state."""
    editing = await mesh.start(WEB + SERVICE)
    good = editing.documents
    (problem,) = await editing.apply([("a.yaml", "kind: Servce\napiVersion: v1\n")], dry_run=False)
    assert not isinstance(problem, tuple)
    assert (problem.file, problem.line, problem.code) == ("a.yaml", 1, "unknown-kind")
    (problem,) = await editing.delete([WORKLOAD])
    assert problem.code == "no-workloads"
    with pytest.raises(WeftError, match="too many"):
        await editing.scale(WORKLOAD, 10)
    for bad in (WEB.replace("command", "comand"), WEB.replace("replicas: 2", "replicas: 10")):
        mesh.file.write_text(bad)
        await editing._apply_edit()
    assert editing.documents is good
    assert mesh.made == []
    assert [words.partition("\n")[0] for words in mesh.said] == [
        "the edit was not applied; the mesh stays as it was",
        "the edit was not applied: too many",
    ]
    assert f"{mesh.file}:5:8" in mesh.said[0]
