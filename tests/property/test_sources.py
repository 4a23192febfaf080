"""Properties of sources."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from weft.model import Document, ObjectId
from weft.resources import join, load_file
from weft.sources import Directory

DOCUMENT = "apiVersion: v1\nkind: Service\nmetadata: {{name: {}}}\nspec: {{clusterIP: 10.0.0.{}}}\n"
documents = st.builds(DOCUMENT.format, st.sampled_from("abc"), st.integers(1, 3))
texts = st.lists(documents, max_size=3, unique_by=lambda text: text.splitlines()[2]).map("---\n".join)
edits = st.tuples(st.sampled_from(("1.yaml", "2.yaml", "3.json")), st.none() | texts)


@settings(max_examples=100)
@given(st.lists(st.lists(edits, max_size=3), max_size=6))
def test_what_is_published_adds_up_to_what_is_written(steps: list[list[tuple[str, str | None]]]) -> None:
    """Requirement: after any edits of any files, all changes together are what reading everything at once gives."""
    held: dict[ObjectId, Document] = {}

    def publish(changes: Mapping[ObjectId, Document | None]) -> None:
        held.update({which: document for which, document in changes.items() if document is not None})
        for which in (which for which, document in changes.items() if document is None):
            del held[which]

    with tempfile.TemporaryDirectory() as directory:
        source = Directory(Path(directory), publish)
        for number, step in enumerate(steps):
            for name, text in step:
                if text is None:
                    (Path(directory) / name).unlink(missing_ok=True)
                else:
                    fresh = Path(directory) / f".{number}"
                    fresh.write_text(text)
                    fresh.rename(Path(directory) / name)
            source.scan()
            whole = join(load_file(path) for path in sorted(Path(directory).iterdir()))
            assert held == {document.meta.id: document for document in whole.documents}
