"""From a proxy's request to a Question, or to the reason why it is none. Decides nothing of the mesh."""

import ipaddress
import json

from weft.compile import EndpointsOf, InboundOf, OutboundOf, ProfileOf, Question
from weft.compile.answer import Address, Code, Unanswerable
from weft.compile.authority import Authority, is_address, parse
from weft.compile.targets import Target
from weft.gen import destination_pb2, inbound_pb2, net_pb2, outbound_pb2
from weft.model.family import plain


def get(request: destination_pb2.GetDestination, cluster_domain: str) -> Question | Unanswerable:
    """Read Destination.Get: names only."""
    authority = parse(request.path, cluster_domain)
    return authority if isinstance(authority, Unanswerable) else EndpointsOf(authority)


def get_profile(request: destination_pb2.GetDestination, cluster_domain: str) -> Question | Unanswerable:
    """Read Destination.GetProfile: a name or an address, and in the context who asks."""
    host, colon, port = request.path.rpartition(":")
    asker = _namespace(request.context_token)
    if colon and port.isdecimal() and int(port) < 65536 and is_address(host):
        return ProfileOf(Address(_plain(host), int(port)), asker)
    if is_address(request.path):
        return ProfileOf(Address(_plain(request.path), 80), asker)
    authority = parse(request.path, cluster_domain)
    return authority if isinstance(authority, Unanswerable) else ProfileOf(authority, asker)


def inbound(request: inbound_pb2.PortSpec) -> Question | Unanswerable:
    """Read a port of a workload."""
    workload = _workload(request.workload)
    if workload is None or not workload[1]:
        return Unanswerable(Code.INVALID_ARGUMENT, f"`{request.workload}` does not name a workload")
    if not 0 < request.port < 65536:
        return Unanswerable(Code.INVALID_ARGUMENT, f"{request.port} is not a port")
    return InboundOf(workload[0], workload[1], request.port)


def outbound(request: outbound_pb2.TrafficSpec, cluster_domain: str) -> Question | Unanswerable:
    """Read a target and who asks. An authority that is no Service of the mesh is NOT_FOUND, as in Linkerd."""
    workload = _workload(request.source_workload)
    if workload is None:
        return Unanswerable(Code.INVALID_ARGUMENT, f"`{request.source_workload}` does not name a workload")
    target: Target | Unanswerable
    if request.WhichOneof("target") == "addr":
        if request.addr.ip.WhichOneof("ip") is None or not 0 < request.addr.port < 65536:
            return Unanswerable(Code.INVALID_ARGUMENT, "the target has no address or no port")
        target = Address(_ip(request.addr.ip), request.addr.port)
    elif request.WhichOneof("target") == "authority":
        target = _authority(request.authority, cluster_domain)
    else:
        target = Unanswerable(Code.INVALID_ARGUMENT, "the request has no target")
    return target if isinstance(target, Unanswerable) else OutboundOf(workload[0], target)


def _authority(text: str, cluster_domain: str) -> Authority | Unanswerable:
    result = parse(text, cluster_domain)
    host = text.rpartition(":")[0] or text
    if isinstance(result, Unanswerable) and not is_address(host):
        return Unanswerable(Code.NOT_FOUND, result.reason)
    return result


def _workload(text: str) -> tuple[str, str] | None:
    """Return namespace and pod, from `{"ns":..,"pod":..}` or the older `ns:pod`."""
    if not text.startswith("{"):
        namespace, colon, pod = text.partition(":")
        return (namespace, pod) if colon and namespace else None
    try:
        token = json.loads(text)
    except ValueError:
        return None
    namespace, pod = token.get("ns"), token.get("pod", "")
    return (namespace, pod) if isinstance(namespace, str) and namespace and isinstance(pod, str) else None


def _namespace(context: str) -> str:
    """Return the client's namespace, from `{"ns":..}` or the older `ns:NAMESPACE`; empty where nothing is said."""
    if not context.startswith("{"):
        word, _, namespace = context.partition(":")
        return namespace if word == "ns" else ""
    try:
        token = json.loads(context)
    except ValueError:
        return ""
    namespace = token.get("ns", "")
    return namespace if isinstance(namespace, str) else ""


def _ip(address: net_pb2.IPAddress) -> str:
    if address.WhichOneof("ip") == "ipv4":
        return str(ipaddress.IPv4Address(address.ipv4))
    return plain(str(ipaddress.IPv6Address((address.ipv6.first << 64) | address.ipv6.last)))


def _plain(host: str) -> str:
    return plain(host.strip("[]"))
