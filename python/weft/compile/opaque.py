"""Which ports carry a protocol that must not be detected: a Server, then annotations, then the default list.

An annotation replaces the list of the next wider place; it does not add to it.
"""

from weft.compile.reading import Reading
from weft.model import Pod, Service, ServiceProfile, ports
from weft.model.server import ProxyProtocol
from weft.model.service import ServicePort

OPAQUE_PORTS = "config.linkerd.io/opaque-ports"


def opaque_pod_port(mesh: Reading, pod: Pod, port: int) -> bool:
    """Say whether a pod's port is opaque: its Server, the pod's annotation, its namespace's, the default."""
    server = mesh.server_of(pod, port)
    if server is not None and server.protocol is not ProxyProtocol.UNKNOWN:
        return server.protocol in (ProxyProtocol.OPAQUE, ProxyProtocol.TLS)
    return _listed(mesh, pod.meta.annotations.get(OPAQUE_PORTS), pod.meta.namespace, port)


def opaque_service_port(
    mesh: Reading, service: Service, port: ServicePort, profile: ServiceProfile | None = None
) -> bool:
    """Say whether a Service's port is opaque: `appProtocol`, annotation, profile, then annotations as for a pod.

    Any `appProtocol` other than the two that name HTTP makes a port opaque, as in Linkerd.
    """
    if port.app_protocol:
        return port.app_protocol not in (APP_HTTP1, APP_HTTP2)
    annotation = service.meta.annotations.get(OPAQUE_PORTS)
    if annotation is None and profile is not None and ports.contains(profile.opaque_ports, port.port):
        return True
    return _listed(mesh, annotation, service.meta.namespace, port.port)


def _listed(mesh: Reading, annotation: str | None, namespace: str, port: int) -> bool:
    if annotation is None:
        document = mesh.namespace(namespace)
        annotation = document.meta.annotations.get(OPAQUE_PORTS) if document else None
    if annotation is None:
        return port in mesh.settings.opaque_ports
    return ports.contains(ports.ranges(annotation), port)


APP_HTTP1 = "http"
APP_HTTP2 = "kubernetes.io/h2c"
