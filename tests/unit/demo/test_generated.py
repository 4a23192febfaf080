"""The demo's generated Python code is made from the `loom.proto` beside it."""

import subprocess
import sys

from weft.demo.build import SERVICES


def test_the_checked_in_code_is_what_the_compiler_makes(tmp_path):
    """Requirement: nobody edits generated code, or the .proto file alone; how to make it again stands in loom.proto."""
    out = [f"--{kind}={tmp_path}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{SERVICES}", *out, "loom.proto"], check=True)
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == ["loom_pb2.py", "loom_pb2.pyi", "loom_pb2_grpc.py"]
    for name in made:
        assert (tmp_path / name).read_text() == (SERVICES / name).read_text(), name
