"""Regenerate the code made from the `.proto` files, or say that it is stale.

Writes `python/weft/gen/` (messages, type stubs, gRPC stubs) and `crates/weft-proxy/src/gen/` (messages, client stubs).
Both are checked in, so that a build needs no protobuf compiler; `--check` compares instead of writing.
The compiler is the one inside `grpcio-tools`. It never edits the `.proto` files.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
PYTHON = ROOT / "python" / "weft" / "gen"
RUST = ROOT / "crates" / "weft-proxy" / "src" / "gen"
RUST_GENERATOR = ROOT / "crates" / "weft-proto-gen" / "Cargo.toml"

# The proxy does not serve tap yet, and a client stub for its own service is of no use to it.
RUST_OMITS = {"tap.proto"}

PACKAGE_INIT = '"""Wire types generated from `proto/` by `make generate`. Do not edit."""\n'


def main() -> int:
    """Generate into a temporary directory, then compare or replace. Returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is not current")
    parser.add_argument("--only", choices=["python", "rust"], help="one language alone")
    options = parser.parse_args()

    stale: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for language, target, generate in (("python", PYTHON, generate_python), ("rust", RUST, generate_rust)):
            if options.only not in (None, language):
                continue
            fresh = Path(scratch) / language
            fresh.mkdir()
            generate(fresh, Path(scratch))
            if options.check:
                stale += differences(fresh, target)
            else:
                replace(fresh, target)
    for name in stale:
        print(f"stale: {name} (run `make generate`)", file=sys.stderr)
    return 1 if stale else 0


def generate_python(out: Path, scratch: Path) -> None:
    """Flatten the generated modules into one package: `io` would otherwise shadow the standard library's module."""
    tree = scratch / "python-tree"
    tree.mkdir()
    protoc(f"--python_out={tree}", f"--pyi_out={tree}", f"--grpc_python_out={tree}", *sources())
    for path in sorted([*tree.rglob("*.py"), *tree.rglob("*.pyi")]):
        text = path.read_text()
        if path.name.endswith("_pb2_grpc.py") and "class " not in text:
            continue  # A file without a service.
        text = re.sub(r"\b(io\.linkerd\.proxy|transport\.l5d\.io)(?= import |\.\w+_pb2)", "weft.gen", text)
        (out / path.name).write_text(text)
    (out / "__init__.py").write_text(PACKAGE_INIT)


def generate_rust(out: Path, scratch: Path) -> None:
    """Compile a descriptor set and hand it to the generator crate."""
    descriptors = scratch / "proto.bin"
    wanted = [name for name in sources() if Path(name).name not in RUST_OMITS]
    protoc("--include_imports", "--include_source_info", f"--descriptor_set_out={descriptors}", *wanted)
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "run", "--quiet", "--locked", "--manifest-path", str(RUST_GENERATOR), "--"]
    subprocess.run([*command, str(descriptors), str(out)], check=True)


def protoc(*arguments: str) -> None:
    """Run the compiler over `proto/`. Raises CalledProcessError when it refuses."""
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTO}", *arguments], check=True)


def sources() -> list[str]:
    """Return every `.proto` file's path below `proto/`, in a fixed order."""
    return sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))


def differences(fresh: Path, target: Path) -> list[str]:
    """Return the names, relative to the repository, that are missing, superfluous or different in `target`."""
    new, old = contents(fresh), contents(target)
    return [str((target / name).relative_to(ROOT)) for name in sorted(new | old) if new.get(name) != old.get(name)]


def contents(directory: Path) -> dict[str, bytes]:
    """Return each file's bytes by name."""
    if not directory.is_dir():
        return {}
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


def replace(fresh: Path, target: Path) -> None:
    """Make `target` hold exactly the files of `fresh`."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(fresh, target)


if __name__ == "__main__":
    sys.exit(main())
