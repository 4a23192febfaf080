"""Software that we did not write, as an application of a mesh: where it is, and what must lie beside the mesh file.

Never skips what is missing: it fails with the command that installs it.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from weft.demo import build, interpreter
from weft.testing import Mesh

SCRIPTS = Path(__file__).parent / "apps"
REPOSITORY = Path(__file__).parents[2]
SYSTEM_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"


def program(name: str, package: str) -> str:
    """The path of a program that a Debian package holds."""
    found = shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        pytest.fail(f"{name} is missing: install it with apt-get install {package}")
    return found


def node() -> str:
    """A Node.js that the applications' user can run."""
    program("node", "nodejs")
    return interpreter.runnable("node", build.cache_folder())


def add_node_packages(directory: Path) -> None:
    """Put the locked Node.js packages where programs in `directory` find them."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weft" / "tools"
    done = subprocess.run(
        [REPOSITORY / "scripts" / "test-node-packages", cache], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"Node.js packages are missing, `make test` installs them: {done.stderr}")
    shutil.copytree(done.stdout.strip(), directory / "node_modules", copy_function=shutil.copyfile)


def add_python_packages(directory: Path, *names: str) -> None:
    """Copy packages of this environment beside the scripts, which is where Python looks first."""
    for name in names:
        folder = Path(str(importlib.metadata.distribution(name).locate_file(name)))
        shutil.copytree(folder, directory / name, copy_function=shutil.copyfile)


def server(name: str, command: Sequence[str], *ports: int, **annotations: str) -> dict[str, Any]:
    """A workload that runs a program; ready when its first port (8080) accepts connections."""
    listening = ports or (8080,)
    return {
        "apiVersion": "mesh.weft.dev/v1alpha1",
        "kind": "Workload",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "command": list(command),
            "ports": [{"port": port, "name": f"p{port}"} for port in listening],
            "readiness": {"tcpSocket": {"port": listening[0]}, "periodSeconds": 1},
        },
    }


def said(mesh: Mesh, replica: str, *command: str) -> Any:
    """The JSON that a command beside a replica printed."""
    return json.loads(mesh.exec(replica, *command))
