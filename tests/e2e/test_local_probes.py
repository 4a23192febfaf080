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


JOB = """\
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: NAME, annotations: {linkerd.io/inject: disabled}}
spec: {command: [sh, -c, "COMMAND"]}
"""


def job_mesh(migrate: str) -> str:
    """`migrate` is the job's command; `seed` waits for it, `web` for that, `free` for nobody."""
    specs = {
        "migrate": (migrate, ", restart: never, retries: 1"),
        "seed": ("true", ", restart: never, dependsOn: [migrate]"),
        "web": ("sleep infinity", ", dependsOn: [seed]"),
        "free": ("sleep infinity", ""),
    }
    return "---\n".join(
        JOB.replace("NAME", name).replace('COMMAND"]', f'{command}"]{more}') for name, (command, more) in specs.items()
    )


def test_what_depends_on_a_failed_job_waits_and_says_why(weft: Weft, tmp_path: Path) -> None:
    """Requirement: a job that has failed as often as it may holds up whoever waits for it, however far away; `weft ps`,
    `describe` and `up -d` (which ends with 1) name it and its exit code; once it has done its work the others start.
    """
    file, why = tmp_path / "mesh.yaml", "job migrate failed: migrate-0 exited with code 3"
    file.write_text(job_mesh("echo tried; exit 3"))
    said = weft.run("up", "-d", str(file))
    assert said.returncode == 1
    assert why in said.stderr
    rows = {str(row["name"]): row for row in weft.replicas()}
    assert rows["migrate-0"]["status"] == "failed: exited with code 3 (see `weft logs migrate-0`)"
    assert rows["migrate-0"]["restarts"] == 1
    assert (rows["seed-0"]["status"], rows["web-0"]["status"]) == (f"blocked: {why}", f"blocked: {why}")
    assert (rows["web-0"]["pid"], rows["free-0"]["ready"]) == (None, True)
    assert f"blocked: {why}" in weft.run("describe", "workload", "web").stdout
    assert weft.run("logs", "migrate").stdout.count("tried") == 2

    file.write_text(job_mesh("test -e put-right || exit 4"))
    until(lambda: "code 4" in str(weft.replicas()), lambda: str(weft.replicas()))
    (tmp_path / "put-right").touch()
    assert weft.run("restart", "migrate").returncode == 0
    until(lambda: all(row["ready"] or row["status"] == "finished" for row in weft.replicas()))
    assert {row["name"]: row["status"] for row in weft.replicas()} == {
        "migrate-0": "finished",
        "seed-0": "finished",
        "web-0": "Ready",
        "free-0": "Ready",
    }
    assert weft.run("down").returncode == 0


def test_a_failed_job_is_said_while_the_mesh_runs_on(weft: Weft, tmp_path: Path) -> None:
    """Requirement: `weft up` in the foreground names the job, its exit code and who waits; an edit that puts it right
    starts the job and then the others, and nothing else.
    """
    file = tmp_path / "mesh.yaml"
    file.write_text(job_mesh("exit 3"))
    process = weft.start(file)
    until(lambda: "blocked" in str(weft.replicas()), lambda: str(weft.replicas()))
    before = next(row["pid"] for row in weft.replicas() if row["name"] == "free-0")
    file.write_text(job_mesh("true"))
    until(lambda: len([row for row in weft.replicas() if row["ready"]]) == 2, lambda: str(weft.replicas()))
    assert next(row["pid"] for row in weft.replicas() if row["name"] == "free-0") == before
    assert weft.run("down").returncode == 0
    assert process.stdout is not None
    said = process.stdout.read()
    assert "job migrate failed: migrate-0 exited with code 3; seed, web cannot start before that is put right" in said
    assert "4 replicas ready" in said
