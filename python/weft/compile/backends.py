"""Whether a route's backend can take requests, and why not, in the words of refusals and of the route's status.

A backend of another namespace needs nobody's leave, as in Linkerd: who may call is the inbound policy's to say.
"""

from dataclasses import dataclass

from weft.compile.reading import Reading
from weft.model.route import BackendRef, Filter, HeaderEdit, Unsupported


@dataclass(frozen=True, slots=True)
class Wrong:
    """`reason` is a word of the Gateway API's conditions."""

    reason: str
    message: str


def wrong(mesh: Reading, ref: BackendRef, *, grpc: bool) -> Wrong | None:
    """Return what is wrong with a backend, or None when requests can go there."""
    if (ref.group, ref.kind) != ("", "Service"):
        return Wrong("InvalidKind", f"backend kind {ref.kind} is not supported")
    service = mesh.service(ref.namespace, ref.name)
    if service is None:
        return Wrong("BackendNotFound", f"Service not found {ref.name}")
    if service.external_name:
        return Wrong("BackendNotFound", f"Service {ref.name} is an ExternalName")
    # Clients may go to any port of a headless Service's pods.
    if ref.port is None or (service.port(ref.port) is None and not service.headless):
        return Wrong("BackendNotFound", f"Service {ref.name} has no port {ref.port}")
    unknown = unsupported(ref.filters, grpc=grpc)
    return Wrong("UnsupportedValue", f"unsupported filter {unknown} on backend {ref.name}") if unknown else None


def unsupported(filters: tuple[Filter, ...], *, grpc: bool) -> str | None:
    """Return a filter for which proxies have no form: a rule that has one is not half obeyed."""
    for each in filters:
        if isinstance(each, Unsupported):
            return each.kind
        if grpc and isinstance(each, HeaderEdit) and each.on_response:
            return "ResponseHeaderModifier"
    return None
