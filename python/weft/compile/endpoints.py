"""Where a Service's requests can go: its ready pods, each with address, identity and the way to reach it.

Decides what Linkerd's destination controller decides for an EndpointSlice, but in the family of addresses that is asked
for: a pod is named by its address of that family, or by the one it has. Knows no topology yet.
"""

from weft.compile.answer import About, Address, Code, Endpoint, Endpoints, Unanswerable
from weft.compile.authority import Authority
from weft.compile.opaque import opaque_pod_port
from weft.compile.reading import Reading
from weft.model import Pod, Service, ports
from weft.model.service import ServicePort

PROXY_PORTS = frozenset({4190, 4191})
"""The proxy's own control and admin ports: reached directly, never through the inbound port."""

SKIP_INBOUND_PORTS = "config.linkerd.io/skip-inbound-ports"


def endpoints(mesh: Reading, authority: Authority) -> Endpoints | Unanswerable:
    """Return the endpoints of a Service's port, or of one instance of a headless Service."""
    service = mesh.service(authority.namespace, authority.service)
    if service is None:
        return Unanswerable(Code.NOT_FOUND, f"no Service {authority.service} in namespace {authority.namespace}")
    if service.external_name:
        return Unanswerable(Code.INVALID_ARGUMENT, f"Service {authority.service} is an ExternalName")
    port = service.port(authority.port)
    found: dict[Address, Endpoint] = {}
    family = authority.family or next(iter(service.families), None)
    if port is None and not service.headless:
        return Endpoints(True, found, _set_labels(service))
    for pod in mesh.pods_matching(service.meta.namespace, service.selector):
        if authority.instance and authority.instance not in (pod.hostname, pod.meta.name):
            continue
        number = _target(pod, port, authority.port)
        if number and pod.ips and (pod.ready or service.publish_not_ready):
            one = endpoint(mesh, pod, Address(pod.ip(family), number))
            found[one.address] = one
    return Endpoints(True, found, _set_labels(service))


def endpoint(mesh: Reading, pod: Pod, address: Address) -> Endpoint:
    """Return one pod's port as a client's proxy must see it."""
    settings = mesh.settings
    about = About("Pod", pod.meta.name, "core", pod.meta.namespace, address.port)
    meshed = bool(pod.meshed_by) and not _skipped(pod, address.port)
    opaque = opaque_pod_port(mesh, pod, address.port)
    if not meshed:
        return Endpoint(address, _labels(pod), opaque=opaque, about=about)
    ours = pod.meshed_by == settings.control_namespace
    about_it = (pod.service_account, pod.meta.namespace)
    return Endpoint(
        address,
        _labels(pod),
        identity=settings.identity(*about_it) if ours else "",
        server_name=settings.server_name(*about_it) if ours and settings.spiffe else "",
        http2=not opaque,
        opaque=opaque,
        inbound_port=0 if address.port in PROXY_PORTS else settings.inbound_port,
        about=about,
    )


def _target(pod: Pod, port: ServicePort | None, asked: int) -> int | None:
    if port is None:
        return asked  # a headless Service: clients may go to any port of its pods
    return port.target if isinstance(port.target, int) else pod.port_named(port.target)


def _skipped(pod: Pod, port: int) -> bool:
    return ports.contains(ports.ranges(pod.meta.annotations.get(SKIP_INBOUND_PORTS, "")), port)


def _set_labels(service: Service) -> dict[str, str]:
    return {"namespace": service.meta.namespace, "service": service.meta.name}


def _labels(pod: Pod) -> dict[str, str]:
    labels = {"pod": pod.meta.name, "serviceaccount": pod.service_account}
    if pod.meshed_by:
        labels["control_plane_ns"] = pod.meshed_by
    if pod.owner:
        template = pod.meta.labels.get("pod-template-hash", "")
        if pod.owner.kind == "ReplicaSet" and template and pod.owner.name.endswith(f"-{template}"):
            labels["deployment"] = pod.owner.name.removesuffix(f"-{template}")
            labels["pod_template_hash"] = template
        else:
            labels[pod.owner.kind.lower()] = pod.owner.name
    return labels
