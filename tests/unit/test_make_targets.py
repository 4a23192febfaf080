"""What the documents tell people to run is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md")]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, re.M))


def named() -> set[tuple[str, str]]:
    """Targets with the variables that are given to them, in code of the documents."""
    texts = [path.read_text() for path in [*DOCUMENTS, *sorted((ROOT / "docs").rglob("*.md"))]]
    found = [match for text in texts for match in re.finditer(r"(?:`|^\$ )make ([a-z0-9-]+)([^`\n#]*)", text, re.M)]
    return {(match[1], match[2].strip()) for match in found}


def test_every_make_target_of_the_documents_is_there():
    """Requirement: a reader can run what is written, and learns of it by `make help`."""
    wanted = {target for target, _ in named()}
    assert "bench" in wanted, "the documents are not read as they are written"
    assert wanted <= TARGETS


def test_every_variable_of_the_documents_counts():
    """Requirement: a variable that is given to a target is one that the Makefile reads."""
    variables = {name for _, given in named() for name in re.findall(r"\b([A-Z_]+)=", given)}
    assert "REV" in variables
    assert {name for name in variables if f"$({name})" not in MAKEFILE} == set()
