"""What GetProfile tells: a Service, one pod or neither; whether the port is opaque; and the Service's profile.

The ServiceProfile of the client's namespace goes before the Service's own.
"""

from weft.compile.answer import About, Address, Profile, Unanswerable
from weft.compile.authority import Authority
from weft.compile.endpoints import endpoint
from weft.compile.opaque import opaque_service_port
from weft.compile.reading import Reading
from weft.compile.targets import Outside, PodTarget, Target, resolve
from weft.model import Pod


def profile(mesh: Reading, target: Target, asker_namespace: str = "") -> Profile | Unanswerable:
    """Return a target's profile. A port that the Service does not define gets an empty one."""
    where = resolve(mesh, target)
    if isinstance(where, Unanswerable):
        return where
    if isinstance(where, Outside):
        return Profile(opaque=where.address.port in mesh.settings.opaque_ports)
    if isinstance(where, PodTarget):
        one = endpoint(mesh, where.pod, where.address)
        return Profile(opaque=one.opaque, endpoint=one)
    service = where.service
    port = service.port(where.port)
    if isinstance(target, Authority) and target.instance:
        pods = mesh.pods_matching(service.meta.namespace, service.selector)
        pod = next((each for each in pods if target.instance in (each.hostname, each.meta.name)), None)
        return _instance(mesh, pod, target)
    if port is None and not service.headless:
        return Profile()
    about = About("Service", service.meta.name, "core", service.meta.namespace, where.port)
    written = mesh.profile_of(service, asker_namespace)
    opaque = port is not None and opaque_service_port(mesh, service, port, written)
    name = mesh.settings.full_name(service.meta.name, service.meta.namespace)
    if written is None:
        return Profile(name=name, opaque=opaque, parent=about)
    which = written.meta.id
    return Profile(
        name=name,
        opaque=opaque,
        parent=about,
        written=About(which.kind, which.name, which.group, which.namespace),
        routes=written.routes,
        budget=written.budget,
        overrides=written.overrides,
    )


def _instance(mesh: Reading, pod: Pod | None, target: Authority) -> Profile:
    if pod is None or not pod.ips:
        return Profile()
    one = endpoint(mesh, pod, Address(pod.ip(target.family), target.port))
    return Profile(opaque=one.opaque, endpoint=one)
