"""The small wire types that all messages are made of: addresses, durations, metadata, matches and header changes."""

import ipaddress
import socket
from functools import lru_cache

from google.protobuf.duration_pb2 import Duration

from weft.compile.answer import About, Address
from weft.gen import grpc_route_pb2, http_route_pb2, http_types_pb2, meta_pb2, net_pb2
from weft.model.route import Compare, GrpcMatch, HeaderEdit, HttpMatch, PathMatch, Redirect, TextMatch


def duration(seconds: float) -> Duration:
    """Return a Duration to the microsecond."""
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return Duration(seconds=whole, nanos=micros * 1000)


def ip(text: str) -> net_pb2.IPAddress:
    """Return an address; IPv6 as two integers of 64 bits."""
    if ":" not in text:
        return net_pb2.IPAddress(ipv4=int.from_bytes(socket.inet_aton(text)))
    number = int(ipaddress.IPv6Address(text))
    return net_pb2.IPAddress(ipv6=net_pb2.IPv6(first=number >> 64, last=number & (2**64 - 1)))


def tcp(address: Address) -> net_pb2.TcpAddress:
    """Return a socket address."""
    return net_pb2.TcpAddress(ip=ip(address.ip), port=address.port)


@lru_cache(maxsize=1024)
def network(text: str) -> net_pb2.IPNetwork:
    """Return a network in CIDR notation. A mesh has few, and each is in every policy: whoever gets one copies it."""
    net = ipaddress.ip_network(text)
    return net_pb2.IPNetwork(ip=ip(str(net.network_address)), prefix_len=net.prefixlen)


def metadata(about: About) -> meta_pb2.Metadata:
    """Return what a part was made from."""
    if about.kind == "default":
        return meta_pb2.Metadata(default=about.name)
    resource = meta_pb2.Resource(
        group=about.group, kind=about.kind, name=about.name, namespace=about.namespace, port=about.port
    )
    return meta_pb2.Metadata(resource=resource)


def host(pattern: str) -> http_route_pb2.HostMatch:
    """Return a host match; `*.example.com` is the suffix [com, example]."""
    if pattern.startswith("*."):
        labels = pattern[2:].split(".")[::-1]
        return http_route_pb2.HostMatch(suffix=http_route_pb2.HostMatch.Suffix(reverse_labels=labels))
    return http_route_pb2.HostMatch(exact=pattern)


def http_match(match: HttpMatch) -> http_route_pb2.HttpRouteMatch:
    """Return a match; one without a path matches every path, which the wire wants said."""
    query = [
        http_route_pb2.QueryParamMatch(name=each.name, regex=each.value)
        if each.compare is Compare.REGEX
        else http_route_pb2.QueryParamMatch(name=each.name, exact=each.value)
        for each in match.query
    ]
    return http_route_pb2.HttpRouteMatch(
        path=_path(match.path or PathMatch(Compare.PREFIX, "/")),
        headers=[_header(each) for each in match.headers],
        query_params=query,
        method=method(match.method) if match.method else None,
    )


def grpc_match(match: GrpcMatch) -> grpc_route_pb2.GrpcRouteMatch:
    """Return a match on service and method."""
    rpc = grpc_route_pb2.GrpcRpcMatch(service=match.service, method=match.method)
    return grpc_route_pb2.GrpcRouteMatch(rpc=rpc, headers=[_header(each) for each in match.headers])


def method(name: str) -> http_types_pb2.HttpMethod:
    """Return an HTTP method, by number where it has one."""
    if name in METHODS:
        return http_types_pb2.HttpMethod(registered=METHODS[name])
    return http_types_pb2.HttpMethod(unregistered=name)


def request_headers(edit: HeaderEdit) -> http_route_pb2.RequestHeaderModifier:
    """Return changes of a request's headers."""
    return http_route_pb2.RequestHeaderModifier(add=_headers(edit.add), set=_headers(edit.set), remove=edit.remove)


def response_headers(edit: HeaderEdit) -> http_route_pb2.ResponseHeaderModifier:
    """Return changes of a response's headers."""
    return http_route_pb2.ResponseHeaderModifier(add=_headers(edit.add), set=_headers(edit.set), remove=edit.remove)


def redirect(asked: Redirect) -> http_route_pb2.RequestRedirect:
    """Return a redirect; what is not given stays as the client asked."""
    result = http_route_pb2.RequestRedirect(host=asked.host, port=asked.port or 0, status=asked.status)
    if asked.scheme.upper() in SCHEMES:
        result.scheme.registered = SCHEMES[asked.scheme.upper()]
    elif asked.scheme:
        result.scheme.unregistered = asked.scheme
    if asked.full_path is not None:
        result.path.full = asked.full_path
    elif asked.prefix_path is not None:
        result.path.prefix = asked.prefix_path
    return result


def _path(match: PathMatch) -> http_route_pb2.PathMatch:
    if match.compare is Compare.EXACT:
        return http_route_pb2.PathMatch(exact=match.value)
    if match.compare is Compare.PREFIX:
        return http_route_pb2.PathMatch(prefix=match.value)
    return http_route_pb2.PathMatch(regex=match.value)


def _header(match: TextMatch) -> http_route_pb2.HeaderMatch:
    if match.compare is Compare.REGEX:
        return http_route_pb2.HeaderMatch(name=match.name, regex=match.value)
    return http_route_pb2.HeaderMatch(name=match.name, exact=match.value.encode())


def _headers(pairs: tuple[tuple[str, str], ...]) -> http_types_pb2.Headers | None:
    if not pairs:
        return None
    return http_types_pb2.Headers(
        headers=[http_types_pb2.Headers.Header(name=name, value=value.encode()) for name, value in pairs]
    )


METHODS = {
    "GET": http_types_pb2.HttpMethod.GET,
    "POST": http_types_pb2.HttpMethod.POST,
    "PUT": http_types_pb2.HttpMethod.PUT,
    "DELETE": http_types_pb2.HttpMethod.DELETE,
    "PATCH": http_types_pb2.HttpMethod.PATCH,
    "OPTIONS": http_types_pb2.HttpMethod.OPTIONS,
    "CONNECT": http_types_pb2.HttpMethod.CONNECT,
    "HEAD": http_types_pb2.HttpMethod.HEAD,
    "TRACE": http_types_pb2.HttpMethod.TRACE,
}
SCHEMES = {"HTTP": http_types_pb2.Scheme.HTTP, "HTTPS": http_types_pb2.Scheme.HTTPS}
