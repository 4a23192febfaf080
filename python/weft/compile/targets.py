"""What a target is: a Service's port, a pod's port, or an address that the mesh does not know."""

from dataclasses import dataclass

from weft.compile.answer import Address, Code, Unanswerable
from weft.compile.authority import Authority
from weft.compile.reading import Reading
from weft.model import Pod, Service

Target = Address | Authority
"""What a proxy asks about: the address that the application connected to, or a name."""


@dataclass(frozen=True, slots=True)
class ServiceTarget:
    """A port of a Service; the Service may not define it."""

    service: Service
    port: int


@dataclass(frozen=True, slots=True)
class PodTarget:
    """A port of a pod, reached by the pod's own address."""

    pod: Pod
    address: Address


@dataclass(frozen=True, slots=True)
class Outside:
    """An address without a document."""

    address: Address


def resolve(mesh: Reading, target: Target) -> ServiceTarget | PodTarget | Outside | Unanswerable:
    """Say what a target is. Two Services with one address are FAILED_PRECONDITION: nobody can say which is meant."""
    if isinstance(target, Authority):
        service = mesh.service(target.namespace, target.service)
        if service is None:
            return Unanswerable(Code.NOT_FOUND, f"no Service {target.service} in namespace {target.namespace}")
        return ServiceTarget(service, target.port)
    services = mesh.services_at(target.ip)
    if len(services) > 1:
        names = ", ".join(f"{each.meta.name}.{each.meta.namespace}" for each in services)
        return Unanswerable(Code.FAILED_PRECONDITION, f"{target.ip} is the address of several Services: {names}")
    if services:
        return ServiceTarget(services[0], target.port)
    pods = mesh.pods_at(target.ip)
    # An address is reused once its pod has ended: the pod that is ready is the one that has it.
    pod = next((each for each in pods if each.ready), pods[0] if pods else None)
    return PodTarget(pod, target) if pod is not None else Outside(target)
