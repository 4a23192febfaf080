"""Startup and liveness probes, jobs and what waits for them; replicas without a proxy."""

from pathlib import Path

import pytest
from tests.e2e.mesh import Weft, until

pytestmark = pytest.mark.e2e
WORKLOAD = """\
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: NAME, annotations: {linkerd.io/inject: disabled}}
spec:
"""
MESH = "---\n".join(
    WORKLOAD.replace("NAME", name) + spec
    for name, spec in {
        "job": """\
  command: [sh, -c, "sleep 1; echo $GREETING $WHO"]
  restart: never
  envFile: job.env
  env: {WHO: there}
""",
        "web": """\
  command: [sh, -c, "echo begins; sleep infinity"]
  dependsOn: [job]
  startup: {exec: {command: [test, -e, started]}, periodSeconds: 0.1, failureThreshold: 1000}
  liveness: {exec: {command: [test, -e, alive]}, periodSeconds: 0.1, failureThreshold: 2}
""",
    }.items()
)


def test_probes_and_jobs_do_what_they_do_in_a_cluster(weft: Weft, tmp_path: Path) -> None:
    """Requirement: a job's end lets others begin; startup is waited for; a failing liveness probe starts it again."""
    (tmp_path / "job.env").write_text("# of the job\nexport GREETING='hello'\n")
    (tmp_path / "mesh.yaml").write_text(MESH)
    (tmp_path / "alive").touch()

    def web() -> dict[str, object]:
        return next((row for row in weft.replicas() if row["name"] == "web-0"), {})

    weft.start(tmp_path / "mesh.yaml")
    until(lambda: str(web().get("status", "")).startswith("has not started yet"), lambda: str(web()))
    assert weft.run("logs", "job").stdout.splitlines()[0] == "job-0  hello there"
    assert next(row["status"] for row in weft.replicas() if row["name"] == "job-0") == "finished"
    assert web()["restarts"] == 0
    (tmp_path / "started").touch()
    until(lambda: web()["ready"] is True, lambda: str(web()))
    (tmp_path / "alive").unlink()
    until(lambda: int(str(web()["restarts"])) > 0, lambda: str(web()))
    assert "is ended: its liveness probe failed: test exited with code 1" in weft.run("logs", "web").stdout
