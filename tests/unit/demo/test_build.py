"""Building the shop's services: languages that are missing or cannot build are left out with the reason."""

from weft.demo import build


def program(folder, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_a_missing_toolchain_leaves_its_workload_out_and_says_so(tmp_path, monkeypatch):
    """Requirement: without Go and Node.js the shop is smaller, with a line for each that says why."""
    said: list[str] = []
    monkeypatch.setenv("PATH", str(tmp_path))
    left_out = build.languages(tmp_path, said.append)
    assert left_out == {
        "orders": "there is no `go` on this machine",
        "stock": "there is no `node` on this machine",
    }
    assert said[-2:] == [
        "orders (Go): left out, there is no `go` on this machine",
        "stock (Node.js): left out, there is no `node` on this machine",
    ]


def test_a_build_that_fails_leaves_its_workload_out_with_the_last_line_of_the_reason(tmp_path, monkeypatch):
    """Requirement: a toolchain that is too old is like one that is missing, and its own words are shown."""
    program(tmp_path, "go", 'case $1 in version) echo go1.12;; *) echo "go.mod requires go >= 1.24" >&2; exit 1;; esac')
    monkeypatch.setenv("PATH", str(tmp_path))
    left_out = build.languages(tmp_path, lambda line: None)
    assert left_out["orders"] == "`go build` failed: go.mod requires go >= 1.24"


def test_what_is_unchanged_is_not_built_again_and_a_new_toolchain_builds_anew(tmp_path, monkeypatch):
    """Requirement: the second demo starts at once; another version of the toolchain is not trusted with old output."""
    builds = tmp_path / "builds"
    program(
        tmp_path, "go", f"case $1 in version) read v < {tmp_path}/version; echo $v;; *) echo one >> {builds};; esac"
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    for version in ("go1.24", "go1.24", "go1.25"):
        (tmp_path / "version").write_text(version + "\n")
        build.languages(tmp_path, lambda line: None)
    assert builds.read_text().splitlines() == ["one", "one"]
