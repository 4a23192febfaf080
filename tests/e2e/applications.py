"""Mesh files of the test applications in `apps`, and the interpreter that can run them as an unprivileged user."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from weft.demo import build, interpreter
from weft.testing import Mesh

FOLDER = Path(__file__).parent / "apps"
FILES = sorted(FOLDER.glob("*.py"))
OPAQUE = {"config.linkerd.io/opaque-ports": "8082"}
UNMESHED = {"linkerd.io/inject": "disabled"}


@dataclass(frozen=True)
class Python:
    """An interpreter with grpcio, and what its environment must hold."""

    program: str
    environment: dict[str, str]

    @classmethod
    def find(cls) -> "Python":
        build.cache_folder().mkdir(parents=True, exist_ok=True)
        return cls(*interpreter.python(build.cache_folder(), print))

    def command(self, script: str, *arguments: object) -> tuple[str, ...]:
        """How a replica runs one of the scripts in `apps`."""
        told = [f"{name}={value}" for name, value in self.environment.items()]
        return ("env", *told, self.program, script, *map(str, arguments))

    def server(self, name: str, replicas: int = 1, **annotations: str) -> dict[str, Any]:
        """A workload of the server that speaks every protocol."""
        return {
            "apiVersion": "mesh.weft.dev/v1alpha1",
            "kind": "Workload",
            "metadata": {"name": name, "annotations": OPAQUE | annotations},
            "spec": {
                "command": list(self.command("server.py")),
                "replicas": replicas,
                "ports": [{"port": port, "name": f"p{port}"} for port in (8080, 8081, 8082, 8083)],
                "readiness": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
            },
        }


def idle(name: str, **annotations: str) -> dict[str, Any]:
    """A workload in which tests run their clients."""
    return {
        "apiVersion": "mesh.weft.dev/v1alpha1",
        "kind": "Workload",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"command": ["sleep", "infinity"]},
    }


def text(*documents: dict[str, Any]) -> str:
    return yaml.safe_dump_all(documents, sort_keys=False)


def ask(mesh: Mesh, python: Python, replica: str, script: str, *arguments: object) -> Any:
    """What a client script beside `replica` found out."""
    return json.loads(mesh.exec(replica, *python.command(script, *arguments)))
