"""Inbound policy in a mesh that knows its workloads by SPIFFE URIs."""

import json

import pytest
from tests.e2e.access import GROUP, HTTP, Documents, document, status
from tests.e2e.applications import FILES, Python, idle

from weft.testing import Mesh, wait_until

pytestmark = pytest.mark.e2e
JOB = "spiffe://cluster.local/ns/batch/sa/job"


def test_accounts_and_namespaces_are_meant_by_uri(python: Python) -> None:
    """Requirement: identityRefs of both kinds let in those whom they name, `weft policy explain` says so of the same
    URIs, and takes one for the client.
    """
    documents = Documents(python)
    job = idle("job")
    job["metadata"]["namespace"] = "batch"
    refs = [{"kind": "ServiceAccount", "name": "web"}, {"kind": "Namespace", "name": "batch"}]
    meant = document("MeshTLSAuthentication", "meant", {"identityRefs": refs})
    required = [{"group": GROUP, "kind": "MeshTLSAuthentication", "name": "meant"}]
    target = {"group": GROUP, "kind": "Server", "name": "http"}
    policy = document("AuthorizationPolicy", "some", {"targetRef": target, "requiredAuthenticationRefs": required})
    text = documents.text(job, meant, policy)
    with Mesh(text, FILES, "uris", ("--identity-form", "spiffe")) as mesh:

        def from_job() -> int:
            asked = python.command("raw.py", "status", "api.default", HTTP)
            return int(json.loads(mesh.run("exec", "-n", "batch", "job-0", "--", *asked).stdout)["status"])

        assert status(mesh, python, "web-0") == 200
        assert status(mesh, python, "cron-0") == 403
        assert from_job() == 200

        def allowed(source: str) -> tuple[bool, str, str]:
            said = mesh.run("policy explain", source, f"api:{HTTP}", "GET", "/", "-o", "json")
            assert said.returncode == 0, said.stderr
            told = json.loads(said.stdout)
            return told["allowed"], told["client"]["identity"], told["client"]["address"]

        uri = "spiffe://cluster.local/ns/default/sa/"
        address = mesh.replicas()["job-0"]["address"]
        assert allowed("batch/job") == allowed(JOB) == (True, JOB, address)
        assert allowed("web")[:2] == (True, f"{uri}web")
        assert allowed("cron")[:2] == (False, f"{uri}cron")
        assert allowed("spiffe://elsewhere/ns/batch/sa/job")[0] is False

        def counted() -> list[str]:
            rows = json.loads(mesh.run("authz", "api", "-o", "json").stdout)
            return [row["authorization_policy"] for row in rows if row["rps"]]

        wait_until(lambda: counted() == ["some"], "what came in by the policy is counted")
