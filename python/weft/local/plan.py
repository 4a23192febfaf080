"""What the mesh file means on this machine: which replicas, at which addresses, behind which Services.

`make` is a pure function of the documents and of the addresses given out before; it starts nothing and reads no file.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from weft import model
from weft.lib.errors import WeftError
from weft.local.addresses import Addresses, ipv6
from weft.local.documents import Documents, Written
from weft.local.listening import Listening
from weft.local.rules import Balanced, covers
from weft.model import ports
from weft.model.family import Family, family
from weft.model.workload import Probe, Workload, WorkloadPort

CONTROL_NAMESPACE = "weft"
CONTROL_NAME = "weft-control-plane"
CLUSTER_DOMAIN = "cluster.local"
TRUST_DOMAIN = "cluster.local"


@dataclass(frozen=True, slots=True)
class Replica:
    """One process that stands in for a pod. Two equal values need no restart between them."""

    workload: str
    ordinal: int
    namespace: str
    address: str
    service_account: str
    meshed: bool
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    working_directory: str
    ports: tuple[WorkloadPort, ...]
    readiness: Probe | None
    depends_on: tuple[str, ...]
    """Workloads of the same namespace that must be ready first."""
    once: bool
    """A job: not started again when it has ended well."""
    skip_inbound: tuple[str, ...]
    skip_outbound: tuple[str, ...]
    proxy_settings: tuple[tuple[str, str], ...]
    """Variables for the proxy that come from annotations."""
    liveness: Probe | None = None
    startup: Probe | None = None
    address6: str = ""
    """The same number in IPv6; empty on a machine without it."""
    retries: int = 0
    """How often a job is started again when it fails."""
    egress: bool = False
    """Whether it reaches the host's network, beyond the mesh."""

    @property
    def name(self) -> str:
        """Return `WORKLOAD-ORDINAL`, the pod's name."""
        return f"{self.workload}-{self.ordinal}"

    @property
    def key(self) -> str:
        """Unique in the mesh: `namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def identity(self) -> str:
        """The TLS identity of the replica's service account."""
        return f"{self.service_account}.{self.namespace}.serviceaccount.identity.{CONTROL_NAMESPACE}.{TRUST_DOMAIN}"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service; `target` is a number or the name of a workload's port."""

    port: int
    target: int | str
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A name with addresses, one of each of its families. `addresses` is empty for a headless Service."""

    name: str
    namespace: str
    addresses: tuple[str, ...]
    families: tuple[Family, ...]
    """The preferred one first."""
    ports: tuple[ServicePort, ...]
    selector: tuple[tuple[str, str], ...]
    annotations: tuple[tuple[str, str], ...] = ()
    written: Written | None = None
    """The user's own document; None for a Service that a workload's ports imply."""

    @property
    def key(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Labels:
    """What a replica is called by selectors and where its document stands; changing these restarts nothing."""

    labels: tuple[tuple[str, str], ...]
    annotations: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole mesh as it should be."""

    replicas: Mapping[str, Replica]
    labels: Mapping[str, Labels]
    services: Mapping[str, Service]
    publish: Mapping[tuple[str, int], tuple[str, int]]
    """Host address and port -> workload key (`namespace/name`) and its port."""
    documents: tuple[Written, ...]
    """Everything else, passed on to the control plane as it was written."""
    addresses: Addresses = field(default_factory=Addresses)
    selected: Mapping[str, tuple[Replica, ...]] = field(default_factory=dict)
    """Service key -> the replicas that it selects, in order of their names. Asked for at every change of readiness."""
    watched: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Keys of the replicas of which it matters to others what they listen on, and by which protocols: their proxy does
    not carry everything.
    """

    def replicas_of(self, service: Service) -> tuple[Replica, ...]:
        """The replicas that `service` selects."""
        return self.selected.get(service.key, ())


def make(documents: Documents, before: Addresses | None = None, dual: bool = True, egress: str = "closed") -> Plan:
    """The plan for these documents; what was there keeps its address in `before`. `dual`: the machine has IPv6.

    `egress` is for workloads that do not say theirs.

    Raises WeftError for a Service that needs what the machine has not.
    """
    addresses = before or Addresses()
    replicas: dict[str, Replica] = {}
    labels: dict[str, Labels] = {}
    services: dict[str, Service] = {}
    publish: dict[tuple[str, int], tuple[str, int]] = {}
    for workload in documents.workloads:
        for ordinal in range(workload.replicas):
            addresses, address = addresses.replica(f"{_key(workload.meta)}-{ordinal}")
            replica = _replica(documents, workload, ordinal, address, dual)
            replica = replace(replica, egress=(workload.egress or egress) == "host")
            replicas[replica.key] = replica
            labels[replica.key] = _labels(documents, workload, replica)
        for entry in workload.publish:
            publish[(entry.host, entry.listen)] = (_key(workload.meta), entry.port)
    written = {document.key: document for document in documents.written if document.kind == "Service"}
    for service in documents.services:
        address = ""
        if not service.headless and not service.external_name:
            addresses, address = addresses.service(_key(service.meta))
        services[_key(service.meta)] = _written_service(service, address, dual, written.get(_key(service.meta)))
    for workload in documents.workloads:
        key = _key(workload.meta)
        if workload.ports and key not in services:
            addresses, address = addresses.service(key)
            services[key] = _implied_service(workload, address, dual)
    others = tuple(document for document in documents.written if document.kind not in ("Service", "Workload"))
    addresses = addresses.keep(replicas.keys(), services.keys())
    selected = _selected(replicas, labels, services)
    watched = _watched(replicas, services, selected)
    return Plan(replicas, labels, services, publish, others, addresses, selected, watched)


def _selected(
    replicas: Mapping[str, Replica], labels: Mapping[str, Labels], services: Mapping[str, Service]
) -> dict[str, tuple[Replica, ...]]:
    having: dict[tuple[str, tuple[str, str]], list[Replica]] = {}
    for replica in sorted(replicas.values(), key=lambda replica: (replica.workload, replica.ordinal)):
        for label in labels[replica.key].labels:
            having.setdefault((replica.namespace, label), []).append(replica)
    found = {}
    for service in services.values():
        by_label = [having.get((service.namespace, label), []) for label in service.selector]
        keys = [{replica.key for replica in each} for each in by_label]
        found[service.key] = tuple(each for each in by_label[0] if all(each.key in k for k in keys)) if keys else ()
    return found


def _watched(
    replicas: Mapping[str, Replica], services: Mapping[str, Service], selected: Mapping[str, tuple[Replica, ...]]
) -> dict[str, frozenset[str]]:
    """Looking costs CPU for each replica and second, so only those are looked at that `_answers_ipv6` asks about."""
    uncarried = {key for key, each in replicas.items() if not each.meshed or each.skip_inbound}
    datagrams = [key for key, each in services.items() if any(port.protocol != "TCP" for port in each.ports)]
    by_datagram = {replica.key for key in datagrams for replica in selected.get(key, ())}
    watched = {key: frozenset(("TCP", "UDP") if key in by_datagram else ("TCP",)) for key in uncarried | by_datagram}
    return {key: protocols for key, protocols in watched.items() if replicas[key].address6}


def _key(meta: model.Meta) -> str:
    return f"{meta.namespace}/{meta.name}"


def _replica(documents: Documents, workload: Workload, ordinal: int, address: str, dual: bool) -> Replica:
    annotations = {**_namespace_annotations(documents, workload.meta.namespace), **workload.meta.annotations}
    environment = {**(documents.env_files or {}).get(_key(workload.meta), {}), **workload.env}
    return Replica(
        workload=workload.meta.name,
        ordinal=ordinal,
        namespace=workload.meta.namespace,
        address=address,
        address6=ipv6(address) if dual else "",
        service_account=workload.service_account or workload.meta.name,
        meshed=annotations.get("linkerd.io/inject", "enabled") != "disabled",
        command=workload.command,
        environment=tuple(sorted(environment.items())),
        working_directory=str((Path(workload.meta.origin.file).absolute().parent / workload.working_dir).resolve()),
        ports=workload.ports,
        readiness=workload.readiness,
        liveness=workload.liveness,
        startup=workload.startup,
        depends_on=workload.depends_on,
        once=workload.restart == "never",
        retries=workload.retries,
        skip_inbound=_port_list(annotations.get("config.linkerd.io/skip-inbound-ports", "")),
        skip_outbound=_port_list(annotations.get("config.linkerd.io/skip-outbound-ports", "")),
        proxy_settings=_proxy_settings(annotations),
    )


def _proxy_settings(annotations: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    told = [(variable, annotations[name]) for name, variable in _PROXY_SETTINGS if name in annotations]
    if annotations.get("linkerd.io/inject") == "ingress":
        told.append(("LINKERD2_PROXY_INGRESS_MODE", "true"))
    return tuple(told)


def _namespace_annotations(documents: Documents, name: str) -> Mapping[str, str]:
    return next((found.meta.annotations for found in documents.namespaces if found.meta.name == name), {})


def _labels(documents: Documents, workload: Workload, replica: Replica) -> Labels:
    labels = _workload_labels(workload)
    if replica.meshed:
        labels["linkerd.io/control-plane-ns"] = CONTROL_NAMESPACE
    # As an injector does: what the namespace configures is on the pod, where clients' proxies are told of it.
    of_namespace = _namespace_annotations(documents, workload.meta.namespace)
    configured = {name: value for name, value in of_namespace.items() if name.startswith("config.linkerd.io/")}
    annotations = {**configured, **workload.meta.annotations, "mesh.weft.dev/origin": str(workload.meta.origin)}
    return Labels(tuple(sorted(labels.items())), tuple(sorted(annotations.items())))


def _workload_labels(workload: Workload) -> dict[str, str]:
    return {"mesh.weft.dev/workload": workload.meta.name, **workload.meta.labels}


def _written_service(service: model.Service, address: str, dual: bool, written: Written | None) -> Service:
    """A Service of the file; `address` is its own, empty for one that has none. Addresses that it names stay."""
    families = _families(service, dual)
    named = {family(ip): ip for ip in service.cluster_ips}
    return Service(
        name=service.meta.name,
        namespace=service.meta.namespace,
        addresses=tuple(named.get(each) or _in(each, address) for each in families) if address else (),
        families=families,
        ports=tuple(
            ServicePort(port.port, port.target, port.name, port.protocol, port.app_protocol) for port in service.ports
        ),
        selector=tuple(sorted(service.selector.items())),
        annotations=tuple(sorted(service.meta.annotations.items())),
        written=written,
    )


def _families(service: model.Service, dual: bool) -> tuple[Family, ...]:
    """As Kubernetes reads `ipFamilies` and `ipFamilyPolicy`, but a Service that says nothing gets both families."""
    first = service.families or (Family.IPV4,)
    single = service.ip_family_policy == "SingleStack" or (
        not service.ip_family_policy and len(service.ip_families) == 1
    )
    families = first[:1] if single else tuple(dict.fromkeys((*first, Family.IPV4, Family.IPV6)))
    if dual:
        return families
    left = tuple(each for each in families if each is not Family.IPV6)
    if not left or service.ip_family_policy == "RequireDualStack":
        name = f"Service {service.meta.name} ({service.meta.origin})"
        raise WeftError(f"{name} needs IPv6, which this machine's kernel does not give", "let it be PreferDualStack")
    return left


def _in(which: Family, address: str) -> str:
    return ipv6(address) if which is Family.IPV6 else address


def _implied_service(workload: Workload, address: str, dual: bool) -> Service:
    """A Service for a workload with ports that has none of its own name; it selects exactly that workload."""
    carried = tuple(
        (name, value)
        for name, value in sorted(workload.meta.annotations.items())
        if name == "config.linkerd.io/opaque-ports"
    )
    return Service(
        name=workload.meta.name,
        namespace=workload.meta.namespace,
        addresses=(address, ipv6(address)) if dual else (address,),
        families=(Family.IPV4, Family.IPV6) if dual else (Family.IPV4,),
        ports=tuple(ServicePort(port.port, port.port, port.name, "TCP", port.app_protocol) for port in workload.ports),
        selector=(("mesh.weft.dev/workload", workload.meta.name),),
        annotations=(*carried, ("mesh.weft.dev/origin", str(workload.meta.origin))),
    )


def _port_list(text: str) -> tuple[str, ...]:
    """`25,8000-8010` as nft wants it: numbers and ranges that do not overlap."""
    merged = ports.merged(ports.ranges(text))
    return tuple(str(low) if low == high else f"{low}-{high}" for low, high in merged)


_PROXY_SETTINGS = (
    ("config.linkerd.io/default-inbound-policy", "LINKERD2_PROXY_INBOUND_DEFAULT_POLICY"),
    ("config.linkerd.io/proxy-log-level", "LINKERD2_PROXY_LOG"),
    ("config.linkerd.io/proxy-log-format", "LINKERD2_PROXY_LOG_FORMAT"),
    ("config.linkerd.io/shutdown-grace-period", "LINKERD2_PROXY_SHUTDOWN_GRACE_PERIOD"),
)


def balanced(of: Plan, ready: Container[str], listening: Mapping[str, Listening]) -> list[Balanced]:
    """What a replica without a proxy is balanced over: each Service port with the ready endpoints behind it.

    Endpoints are of the address's family; `listening` says, by key, which replicas can be reached by IPv6.
    """
    return [
        Balanced(address, port.port, port.protocol, _endpoints(replicas, port, family(address), listening))
        for service in of.services.values()
        if service.addresses
        for replicas in [[replica for replica in of.replicas_of(service) if replica.key in ready]]
        for address in service.addresses
        for port in service.ports
    ]


def takes_ipv6(replica: Replica, listening: Mapping[str, Listening]) -> bool:
    """Whether others may be told its IPv6 address: its proxy answers there, or its application does."""
    return bool(replica.address6) and (replica.meshed or listening.get(replica.key, Listening()).takes_ipv6)


def _endpoints(
    replicas: Iterable[Replica], port: ServicePort, which: Family, listening: Mapping[str, Listening]
) -> tuple[tuple[str, int], ...]:
    found = []
    for replica in replicas:
        named = {own.name: own.port for own in replica.ports if own.name}
        number = port.target if isinstance(port.target, int) else named.get(port.target)
        if number is None:
            continue
        if which is Family.IPV4:
            found.append((replica.address, number))
        elif replica.address6 and _answers_ipv6(replica, port.protocol, number, listening):
            found.append((replica.address6, number))
    return tuple(found)


def _answers_ipv6(replica: Replica, protocol: str, port: int, listening: Mapping[str, Listening]) -> bool:
    carried = replica.meshed and protocol == "TCP" and not covers(replica.skip_inbound, port)
    return carried or (protocol, port) in listening.get(replica.key, Listening()).ipv6
