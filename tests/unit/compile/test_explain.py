"""An explanation names every rule, where it is written, and the one that decided."""

from tests.meshes import pod, snapshot

from weft.compile.explain import Explanation, Part, explain
from weft.compile.judge import Client, Outcome, Request
from weft.model import Pod
from weft.model.snapshot import Snapshot

GROUP = "policy.linkerd.io"
DOCUMENTS = f"""apiVersion: {GROUP}/v1beta3
kind: Server
metadata: {{name: api}}
spec: {{podSelector: {{matchLabels: {{app: api}}}}, port: http}}
---
apiVersion: {GROUP}/v1beta3
kind: Server
metadata: {{name: later}}
spec: {{podSelector: {{}}, port: 8080, accessPolicy: all-unauthenticated}}
---
apiVersion: {GROUP}/v1alpha1
kind: AuthorizationPolicy
metadata: {{name: web}}
spec:
  targetRef: {{group: {GROUP}, kind: HTTPRoute, name: items}}
  requiredAuthenticationRefs: [{{group: {GROUP}, kind: MeshTLSAuthentication, name: web}}]
---
apiVersion: {GROUP}/v1alpha1
kind: MeshTLSAuthentication
metadata: {{name: web}}
spec: {{identityRefs: [{{kind: ServiceAccount, name: web}}]}}
---
apiVersion: {GROUP}/v1beta3
kind: HTTPRoute
metadata: {{name: items}}
spec:
  parentRefs: [{{kind: Server, name: api}}]
  rules: [{{matches: [{{path: {{value: /items}}}}]}}]
---
apiVersion: {GROUP}/v1alpha1
kind: AuthorizationPolicy
metadata: {{name: gone}}
spec:
  targetRef: {{group: {GROUP}, kind: Server, name: api}}
  requiredAuthenticationRefs: [{{group: {GROUP}, kind: NetworkAuthentication, name: nowhere}}]
"""
WEB = Client("10.0.0.2", "web.default.serviceaccount.identity.weft.cluster.local", tls=True)
CRON = Client("10.0.0.3", "cron.default.serviceaccount.identity.weft.cluster.local", tls=True)


def explained(client: Client, path: str = "/items", documents: str = DOCUMENTS, port: int = 8080) -> Explanation:
    mesh = snapshot(documents, pod("api-0", "10.0.0.1", app="api"))
    return explain(mesh, api(mesh), port, client, Request(path=path))


def api(mesh: Snapshot) -> Pod:
    return next(each for each in mesh.documents.values() if isinstance(each, Pod))


def parts(told: Explanation) -> dict[str, tuple[Part, str]]:
    return {rule.what: (rule.part, rule.origin) for rule in told.rules}


def test_the_deciding_document_has_its_file_and_line() -> None:
    """Requirement: the grant that let in is named with file and line; so is what was passed over, and why."""
    told = explained(WEB)
    assert told.verdict.outcome is Outcome.ALLOWED
    assert parts(told) == {
        "Server api": (Part.CONSIDERED, "mesh.yaml:1"),
        "Server later": (Part.PASSED_OVER, "mesh.yaml:6"),
        "HTTPRoute items": (Part.CONSIDERED, "mesh.yaml:23"),
        "AuthorizationPolicy web": (Part.DECIDED, "mesh.yaml:11"),
        "AuthorizationPolicy gone": (Part.PASSED_OVER, "mesh.yaml:30"),
    }
    words = {rule.what: rule.says for rule in told.rules}
    assert "MeshTLSAuthentication web at mesh.yaml:18" in words["AuthorizationPolicy web"]
    assert "nowhere, which does not exist" in words["AuthorizationPolicy gone"]
    assert "api is older or first by name" in words["Server later"]


def test_a_refusal_is_the_servers() -> None:
    """Requirement: where no grant lets in, the Server decides, and each grant says why it does not."""
    told = explained(CRON)
    assert told.verdict.outcome is Outcome.DENIED
    assert parts(told)["Server api"] == (Part.DECIDED, "mesh.yaml:1")
    assert next(rule.says for rule in told.rules if rule.what == "AuthorizationPolicy web").endswith(
        f"{CRON.identity} is not meant"
    )
    assert explained(CRON, "/other").verdict.outcome is Outcome.NO_ROUTE


def test_every_look_up_is_there() -> None:
    """Requirement: what the answer was made because of is told, also what was looked for and not found."""
    found = explained(WEB).because.found
    assert [key for key, ids in found.items() if not ids and key[0] == "authentication"] == [
        ("authentication", "NetworkAuthentication", "default", "nowhere")
    ]


def test_a_default_is_explained_by_where_it_comes_from() -> None:
    """Requirement: without a Server the annotation is the rule, with its file and line; else the mesh's setting."""
    annotated = "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, annotations: {ANNOTATION: deny}}"
    told = explained(WEB, documents=annotated.replace("ANNOTATION", "config.linkerd.io/default-inbound-policy"))
    assert (told.verdict.outcome, parts(told)["Namespace default"]) == (
        Outcome.DENIED,
        (Part.CONSIDERED, "mesh.yaml:1"),
    )
    told = explained(WEB, documents=annotated.replace("ANNOTATION", "a/b"))
    assert list(parts(told)) == ["mesh", "default policy all-unauthenticated"]
    assert parts(told)["default policy all-unauthenticated"] == (Part.DECIDED, "")


def test_a_probe_is_explained() -> None:
    """Requirement: a probe's own grant is among the rules."""
    told = explained(Client("10.0.0.9"), "/healthz", documents=DOCUMENTS)
    assert told.verdict.outcome is Outcome.ALLOWED
    assert parts(told)["default policy probe"] == (Part.DECIDED, "")
