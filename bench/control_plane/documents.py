"""The mesh that is measured: a file for each Service with its pods, as users write them. Pure."""

NAMESPACE = "shop"
PORT, TARGET = 80, 8080
POPULAR = 0
"""The Service that every proxy watches."""


def service(number: int, replicas: int, request_timeout: str = "") -> str:
    """One file: a Service, then its pods, so that one replica more moves no other line."""
    note = f"\n  annotations:\n    timeout.linkerd.io/request: {request_timeout}" if request_timeout else ""
    head = f"""\
apiVersion: v1
kind: Service
metadata:
  name: {name(number)}
  namespace: {NAMESPACE}{note}
spec:
  clusterIP: {cluster_ip(number)}
  selector:
    app: {name(number)}
  ports:
    - name: http
      port: {PORT}
      targetPort: http
"""
    return head + "".join(pod(number, replica) for replica in range(replicas))


def pod(number: int, replica: int) -> str:
    """One ready, meshed pod."""
    return f"""\
---
apiVersion: v1
kind: Pod
metadata:
  name: {pod_name(number, replica)}
  namespace: {NAMESPACE}
  labels:
    app: {name(number)}
    linkerd.io/control-plane-ns: weft
spec:
  serviceAccountName: {name(number)}
  containers:
    - name: {name(number)}
      ports:
        - name: http
          containerPort: {TARGET}
      readinessProbe:
        httpGet:
          path: /ready
          port: http
status:
  podIP: {pod_ip(number, replica)}
  phase: Running
  conditions:
    - type: Ready
      status: "True"
"""


def server(number: int, access: str) -> str:
    """A Server for the pods of one Service."""
    return f"""\
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata:
  name: {name(number)}
  namespace: {NAMESPACE}
spec:
  podSelector:
    matchLabels:
      app: {name(number)}
  port: http
  accessPolicy: {access}
"""


def namespace(opaque_ports: str) -> str:
    """The Namespace, with a default that concerns every Service and every pod in it."""
    return f"""\
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  annotations:
    config.linkerd.io/opaque-ports: "{opaque_ports}"
"""


def name(number: int) -> str:
    """A Service's name."""
    return f"service-{number:05d}"


def pod_name(number: int, replica: int) -> str:
    """A pod's name."""
    return f"{name(number)}-{replica}"


def cluster_ip(number: int) -> str:
    """A Service's address."""
    return f"10.96.{number >> 8}.{number & 255}"


def pod_ip(number: int, replica: int) -> str:
    """A pod's address."""
    return f"10.{128 + replica}.{number >> 8}.{number & 255}"
