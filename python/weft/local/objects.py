"""The documents that the control plane reads: Pods and Services made here, the rest as the user wrote them. Pure."""

import hashlib
from collections.abc import Container, Iterable, Mapping

from weft.local.addresses import CONTROL_PLANE, ipv6
from weft.local.listening import Listening
from weft.local.plan import CONTROL_NAME, CONTROL_NAMESPACE, Labels, Plan, Replica, Service, takes_ipv6

Objects = dict[str, object]
"""File name -> document."""


def build(plan: Plan, ready: Container[str], listening: Mapping[str, Listening], lives: Mapping[str, int]) -> Objects:
    """All documents; the replicas whose keys are in `ready` are marked so. `listening` is about IPv6, by key.

    `lives` says how often each was started: a pod that comes again under a name is another pod.
    """
    objects: Objects = {}
    for key, replica in plan.replicas.items():
        objects[_file("pod", replica.namespace, replica.name)] = pod(
            replica, plan.labels[key], key in ready, takes_ipv6(replica, listening), lives.get(key, 0)
        )
    for service in plan.services.values():
        objects[_file("service", service.namespace, service.name)] = _service(service)
    for document in plan.documents:
        group = str(document.content.get("apiVersion", "")).rpartition("/")[0]
        kind = f"{document.kind.lower()}.{group}" if group else document.kind.lower()  # two groups have an HTTPRoute
        file = _file(kind, document.namespace, document.name)
        objects[file] = _with_origin(document.content, document.origin)
    return objects


def pod(replica: Replica, labels: Labels, ready: bool, dual: bool, life: int) -> dict[str, object]:
    """One replica as a Pod; `dual`: it can be reached by IPv6 too."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": replica.name,
            "namespace": replica.namespace,
            "uid": uid(replica.key, life),
            "labels": dict(labels.labels),
            "annotations": dict(labels.annotations),
        },
        "spec": {
            "nodeName": NODE,
            "serviceAccountName": replica.service_account,
            "containers": [{"name": replica.workload, "ports": _container_ports(replica)}],
        },
        "status": {
            "podIP": replica.address,
            "podIPs": [{"ip": replica.address}, *([{"ip": replica.address6}] if dual else [])],
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def uid(key: str, life: int) -> str:
    """The id of a replica in one of its lives, in the form of a UUID."""
    digest = hashlib.sha256(f"weft replica {key} {life}".encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def control_plane(dual: bool) -> Replica:
    """The control plane's own replica. It serves on IPv4; its proxy takes both."""
    return Replica(
        workload=CONTROL_NAME,
        ordinal=0,
        namespace=CONTROL_NAMESPACE,
        address=CONTROL_PLANE,
        address6=ipv6(CONTROL_PLANE) if dual else "",
        service_account=CONTROL_NAME,
        meshed=True,
        command=(),
        environment=(),
        working_directory="/",
        ports=(),
        readiness=None,
        depends_on=(),
        once=False,
        skip_inbound=("9990",),
        skip_outbound=(),
        proxy_settings=(),
    )


def _container_ports(replica: Replica) -> Iterable[dict[str, object]]:
    return [
        {"containerPort": port.port, "protocol": "TCP", **({"name": port.name} if port.name else {})}
        for port in replica.ports
    ]


def _service(service: Service) -> dict[str, object]:
    spec = _reached_at(service)
    if service.written is not None:
        content = _with_origin(service.written.content, service.written.origin)
        written = _mapping(content.get("spec"))
        return {**content, "spec": written if written.get("type") == "ExternalName" else {**written, **spec}}
    ports: list[dict[str, object]] = []
    for port in service.ports:
        entry: dict[str, object] = {"port": port.port, "targetPort": port.target, "protocol": port.protocol}
        if port.name:
            entry["name"] = port.name
        if port.app_protocol:
            entry["appProtocol"] = port.app_protocol
        ports.append(entry)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service.name, "namespace": service.namespace, "annotations": dict(service.annotations)},
        "spec": {**spec, "selector": dict(service.selector), "ports": ports},
    }


def _reached_at(service: Service) -> dict[str, object]:
    addresses = list(service.addresses) or ["None"]
    return {
        "clusterIP": addresses[0],
        "clusterIPs": addresses,
        "ipFamilies": [each.value for each in service.families],
        "ipFamilyPolicy": "PreferDualStack" if len(service.families) > 1 else "SingleStack",
    }


def _with_origin(content: object, origin: str) -> dict[str, object]:
    document = _mapping(content)
    metadata = _mapping(document.get("metadata"))
    annotations = {**_mapping(metadata.get("annotations")), "mesh.weft.dev/origin": origin}
    return {**document, "metadata": {"namespace": "default", **metadata, "annotations": annotations}}


def _mapping(value: object) -> dict[str, object]:
    return {str(name): item for name, item in value.items()} if isinstance(value, dict) else {}


def _file(kind: str, namespace: str, name: str) -> str:
    return f"{kind}-{namespace or '-'}-{name}.json".replace("/", "_")


NODE = "local"
CONTROL_LABELS = Labels(
    (("linkerd.io/control-plane-ns", CONTROL_NAMESPACE), ("mesh.weft.dev/workload", CONTROL_NAME)), ()
)
