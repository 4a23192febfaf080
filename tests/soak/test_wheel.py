"""What a user installs: the release wheel, in an environment of its own, away from the repository."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.soak
REPOSITORY = Path(__file__).parents[2]


def test_the_demo_runs_from_the_wheel(tmp_path: Path) -> None:
    """Requirement: the wheel has both programs and all that the demo needs; it ends content outside the repository."""
    build = [sys.executable, "-m", "maturin", "build", "--locked", "--out", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    programs = tmp_path / "venv" / "bin"
    subprocess.run([programs / "pip", "install", "--quiet", str(wheel)], check=True)

    # Nothing of the repository's environment: neither its modules nor its proxy may help.
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if ".venv" not in part)
    environment = {"PATH": f"{programs}{os.pathsep}{path}", "HOME": os.environ["HOME"], "PYTHONIOENCODING": "utf-8"}
    command = [programs / "weft", "demo", "--once", "--mesh", "from-the-wheel"]
    shown = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    print(shown.stdout)
    assert shown.returncode == 0, shown.stdout + shown.stderr
