"""What starting the command line costs."""

import os
import subprocess
import sys


def test_start_up_imports_click_and_nothing_heavy() -> None:
    """`weft --version` is as quick as Python and click allow: no command's module is imported."""
    program = "import sys, weft.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    started = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    loaded = started.stdout.split()

    assert not {"asyncio", "cryptography", "google", "grpc", "msgspec", "rich", "yaml"} & set(loaded)
