"""The whole thin line with weft-proxy itself: mesh file, control plane, mTLS, application, metrics, tables."""

import json
from pathlib import Path

from tests.e2e.mesh import Weft, until
from tests.e2e.test_local import ASK, SERVER

MESH = """
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: web}
spec:
  command: [python3, server.py]
  replicas: 3
  ports: [{name: http, port: 8080}]
  readiness: {httpGet: {port: 8080, path: /}}
---
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: client}
spec: {command: [sleep, infinity]}
"""


def test_a_meshed_call_is_balanced_secured_and_measured(weft: Weft, tmp_path: Path) -> None:
    """Requirement: requests spread over the replicas by mTLS; `stat` and `edges` show rate, success and identities."""
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "ask.py").write_text(ASK)
    file = tmp_path / "mesh.yaml"
    file.write_text(MESH)
    weft.up(file)
    said = weft.run("exec", "client", "--", "python3", "ask.py", "http://web:8080/", "150")
    assert said.returncode == 0, said.stderr
    assert set(said.stdout.split()) == {"web-0", "web-1", "web-2"}

    def rows(verb: str) -> list[dict[str, object]]:
        found = json.loads(weft.run(verb, "-o", "json").stdout)
        assert isinstance(found, list)
        return found

    until(lambda: any(row["name"] == "web" and row["rps"] for row in rows("stat")), lambda: str(rows("stat")))
    (web,) = [row for row in rows("stat") if row["name"] == "web"]
    assert (web["meshed"], web["success"]) == ("3/3", 1.0)
    until(lambda: bool(rows("edges")))
    (edge,) = rows("edges")
    assert (edge["src"], edge["dst"], edge["secured"]) == ("client", "web", True)
    assert edge["client_id"] == "client.default.serviceaccount.identity.weft.cluster.local"
    assert edge["server_id"] == "web.default.serviceaccount.identity.weft.cluster.local"
