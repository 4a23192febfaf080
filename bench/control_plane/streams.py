"""What each stream asks: five are one proxy, as a workload with one destination opens them. Pure."""

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from bench.control_plane.documents import NAMESPACE, POPULAR, PORT, TARGET, cluster_ip, name, pod_name
from weft.gen import destination_pb2, inbound_pb2, net_pb2, outbound_pb2


class Kind(Enum):
    """The streams of one proxy: its own port, its one destination, and the endpoints of the popular Service."""

    INBOUND = "WatchPort"
    OUTBOUND = "Watch"
    PROFILE = "GetProfile"
    ENDPOINTS = "Get"
    POPULAR = "Get of the popular Service"


KINDS = tuple(Kind)


@dataclass(frozen=True, slots=True)
class Stream:
    """One call: on which connection, with which method and message. `proxy` is the number of its Service as well."""

    proxy: int
    kind: Kind
    connection: int
    port: int
    path: str
    message: bytes

    @property
    def destination(self) -> int:
        """The Service that the proxy's workload talks to."""
        return self.proxy + 1


def crowd(streams: int, together: int, destination_port: int, policy_port: int) -> Sequence[Stream]:
    """`streams` streams; each proxy has `together` of them, on one connection for each port it needs."""
    made = []
    connections: dict[tuple[int, int], int] = {}
    for number in range(streams):
        kind, proxy = KINDS[number % len(KINDS)], number // len(KINDS)
        port = policy_port if kind in (Kind.INBOUND, Kind.OUTBOUND) else destination_port
        connection = connections.setdefault((number // together, port), len(connections))
        path, message = _call(kind, proxy)
        made.append(Stream(proxy, kind, connection, port, path, message))
    return made


def _call(kind: Kind, proxy: int) -> tuple[str, bytes]:
    workload = json.dumps({"ns": NAMESPACE, "pod": pod_name(proxy, 0)})
    authority = f"{name(proxy + 1)}.{NAMESPACE}.svc.cluster.local:{PORT}"
    address = cluster_ip(proxy + 1)
    if kind is Kind.INBOUND:
        asked = inbound_pb2.PortSpec(workload=workload, port=TARGET)
        return "/io.linkerd.proxy.inbound.InboundServerPolicies/WatchPort", asked.SerializeToString()
    if kind is Kind.OUTBOUND:
        where = net_pb2.TcpAddress(ip=net_pb2.IPAddress(ipv4=int(ipaddress.IPv4Address(address))), port=PORT)
        spec = outbound_pb2.TrafficSpec(source_workload=workload, addr=where)
        return "/io.linkerd.proxy.outbound.OutboundPolicies/Watch", spec.SerializeToString()
    service = "/io.linkerd.proxy.destination.Destination"
    if kind is Kind.PROFILE:
        path = f"{address}:{PORT}"
        profile = destination_pb2.GetDestination(scheme="k8s", path=path, context_token=workload)
        return f"{service}/GetProfile", profile.SerializeToString()
    if kind is Kind.POPULAR:
        authority = f"{name(POPULAR)}.{NAMESPACE}.svc.cluster.local:{PORT}"
    get = destination_pb2.GetDestination(scheme="k8s", path=authority, context_token=workload)
    return f"{service}/Get", get.SerializeToString()
