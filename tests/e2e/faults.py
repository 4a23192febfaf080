"""What tests of refusals share: a server that misbehaves, requests to it, and the error table."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.testing import Mesh

TABLE = json.loads((Path(__file__).parents[1] / "vectors" / "refusals.json").read_text())
WORDS = re.compile(r'\b(error|stage|blame|retry)="?([a-z_]+)"?')


@dataclass(frozen=True)
class Answer:
    """What a client got: a status of 0 when it got no whole answer."""

    status: int
    seconds: float
    headers: dict[str, str]
    body: Any


def faulty(name: str, replicas: int = 1, *wrapped: str, **annotations: str) -> dict[str, Any]:
    """A workload that misbehaves as the path says; ready while its second port is open."""
    return {
        "apiVersion": "mesh.weft.dev/v1alpha1",
        "kind": "Workload",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "command": list(wrapped) or ["python3", "faulty.py", "8080"],
            "replicas": replicas,
            "ports": [{"port": 8080, "name": "http"}, {"port": 8081, "name": "ready"}],
            "readiness": {"tcpSocket": {"port": 8081}, "periodSeconds": 1},
        },
    }


def asks(mesh: Mesh, replica: str, host: str, *requests: tuple[str, str, dict[str, str], int]) -> list[Answer]:
    """The answers to requests that one connection of the replica carries, one after the other."""
    said = json.loads(mesh.exec(replica, "python3", "asks.py", host, "8080", json.dumps(requests)))
    return [Answer(each["status"], each["seconds"], each.get("headers", {}), each.get("body")) for each in said]


def ask(
    mesh: Mesh, host: str, path: str, method: str = "GET", size: int = 0, replica: str = "client-0", **headers: str
) -> Answer:
    """One request; `_` in the name of a header stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asks(mesh, replica, host, (method, path, named, size))[0]


def logged(mesh: Mesh, replica: str) -> list[dict[str, str]]:
    """The refusals in a proxy's log, by their words."""
    lines = mesh.logs(replica, "proxy").splitlines()
    return [dict(WORDS.findall(line)) for line in lines if "stage=" in line and "blame=" in line]


def rows(mesh: Mesh, *replicas: str) -> set[str]:
    """The causes in the log and in the metrics of these replicas; each one must be a row of the error table."""
    found = set()
    for replica in replicas:
        counted = [each.labels for each in mesh.metrics(replica) if each.name.endswith("_errors_total")]
        for words in [*logged(mesh, replica), *counted]:
            row = next((row for row in TABLE if row["label"] == words["error"]), None)
            assert row, f"{words} is no row of the error table"
            assert words["stage"] in row["stages"], words
            assert words["blame"] in row["blames"], words
            assert words["retry"] in row["retry"], words
            found.add(words["error"])
    return found


def told(answer: Answer) -> set[str]:
    """The causes that an answer of a proxy can stand for; empty when it is the application's or breaks off."""
    if "l5d-proxy-error" not in answer.headers:
        return set()
    return {row["label"] for row in TABLE if row["http"] == answer.status}
