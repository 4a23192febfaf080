"""Snapshots from a few lines of YAML, for the tests of the pure layers."""

from weft.model.settings import Settings
from weft.model.snapshot import Snapshot
from weft.resources import load_text

WEB = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 198.19.0.1
  selector: {app: web}
  ports: [{port: 80, targetPort: http}, {port: 5432}]
"""


def snapshot(*texts: str, settings: Settings | None = None) -> Snapshot:
    """Return the mesh of these documents, which must be good."""
    loaded = load_text("\n---\n".join(texts), "mesh.yaml")
    assert loaded.problems == ()
    return Snapshot.of(settings or Settings(), loaded.documents)


def pod(
    name: str,
    ip: str,
    *,
    app: str = "web",
    ready: bool = True,
    meshed: str = "weft",
    annotations: str = "",
    namespace: str = "default",
    extra: str = "",
) -> str:
    """Return a pod with a port named http at 8080 and an HTTP probe on /healthz."""
    label = f", linkerd.io/control-plane-ns: {meshed}" if meshed else ""
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {app}{label}}}, annotations: {{{annotations}}}}}
spec:
  serviceAccountName: {app}
  hostname: {name}
  containers:
  - ports: [{{name: http, containerPort: 8080}}]
    livenessProbe: {{httpGet: {{port: http, path: /healthz}}}}
  {extra}
status:
  podIP: {ip}
  phase: Running
  conditions: [{{type: Ready, status: "{ready}"}}]
"""
