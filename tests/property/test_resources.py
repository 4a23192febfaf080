"""Properties of reading what users write."""

import tempfile
from collections.abc import Generator
from itertools import chain
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.resources import Loaded, Rereading, load_file, load_text

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(("web", "v1", "80"))
keys = st.sampled_from(
    ("metadata", "name", "spec", "ports", "port", "env", "labels", "rules", "matches", "path", "readiness", "publish")
) | st.text(max_size=5)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=15
)
kinds = st.sampled_from(
    (
        ("mesh.weft.dev/v1alpha1", "Workload"),
        ("v1", "Pod"),
        ("v1", "Service"),
        ("v1", "Namespace"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute"),
        ("policy.linkerd.io/v1beta3", "GRPCRoute"),
    )
)


@given(st.text())
def test_no_text_is_too_bad_to_be_answered(text: str) -> None:
    """Requirement: any text gives documents and problems, never an exception."""
    load_text(text, "m")


@given(kinds, st.dictionaries(keys, values, max_size=4))
def test_a_document_of_any_shape_is_read_or_explained(kind: tuple[str, str], body: dict[str, object]) -> None:
    """Requirement: a document that is not read has at least one problem, with a line in the file."""
    text = yaml.safe_dump({**body, "apiVersion": kind[0], "kind": kind[1]}, allow_unicode=True)
    loaded = load_text(text, "m")
    assert bool(loaded.documents) != bool(loaded.problems)
    lines = len(text.splitlines())  # YAML counts U+0085 as a line break too
    assert all(1 <= problem.line <= lines for problem in loaded.problems)


LINES = st.sampled_from(
    (
        "---",
        "--- # another",
        "--- {apiVersion: v1, kind: Service, metadata: {name: inline}}",
        "apiVersion: v1",
        "kind: Service",
        "metadata: {name: a}",
        "metadata: {name: b}",
        "spec: {ports: [{port: 80}]}",
        "spec: {ports: [{port: x}]}",
        "spec: {",
        "metadata: &here {name: c}",
        "other: *here",
        "text: |",
        "  --- not a document",
        "'open",
        "...",
        "%YAML 1.1",
        "# a comment",
        "",
        "note: \u2028---",
    )
)
GOOD = st.sampled_from(("a", "b", "c")).map(
    lambda name: ["---", "apiVersion: v1", "kind: Service", f"metadata: {{name: {name}}}"]
)
files = st.lists(GOOD | st.lists(LINES, max_size=4), max_size=6).map(lambda parts: "\n".join(chain(*parts)))


@settings(max_examples=200)
@given(st.lists(files, min_size=1, max_size=5))
def test_reading_again_is_reading(versions: list[str]) -> None:
    """Requirement: whatever a file was before, documents, places and problems are those of reading it whole."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "mesh.yaml"
        again = Rereading(path)
        for text in versions:
            path.write_text(text, encoding="utf-8")
            found: list[Loaded] = []
            for _ in _all(again.read(), found):
                pass
            assert found == [load_file(path)]


def _all(steps: Generator[None, None, Loaded], found: list[Loaded]) -> Generator[None, None, None]:
    found.append((yield from steps))
