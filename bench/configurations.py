"""The peers' configurations, as fair as we know how: one worker, TLS 1.3 with client certificates, HTTP/2 between.

Each side has two listeners, as a plaintext HTTP/2 upstream has to be declared: one leads to the backend's HTTP/1.1
port, one to its gRPC port. No access log, no request ids, no limits that the load could meet. Pure.
"""

from dataclasses import dataclass
from pathlib import Path

from bench.certificates import SERVER_NAME


@dataclass(frozen=True, slots=True)
class Ports:
    """Where one peer listens: the outbound side on loopback, the inbound side on every address."""

    http1: int
    grpc: int
    mesh_http1: int
    mesh_grpc: int


def haproxy_outbound(ports: Ports, upstream: str, directory: Path) -> str:
    """Take the application's connections, speak mTLS HTTP/2 to `upstream`."""
    tls = f"ssl verify required ca-file {directory}/ca.crt crt {directory}/a.pem alpn h2"
    tls += f" sni str({SERVER_NAME}) verifyhost {SERVER_NAME} ssl-min-ver TLSv1.3"
    return _HAPROXY + _haproxy_pairs(
        (f"127.0.0.1:{ports.http1}", f"{upstream}:{ports.mesh_http1} {tls}"),
        (f"127.0.0.1:{ports.grpc}", f"{upstream}:{ports.mesh_grpc} {tls}"),
    )


def haproxy_inbound(ports: Ports, http1: int, grpc: int, directory: Path) -> str:
    """Take mTLS HTTP/2, speak plaintext to the backend."""
    tls = f"ssl crt {directory}/b.pem ca-file {directory}/ca.crt verify required alpn h2 ssl-min-ver TLSv1.3"
    return _HAPROXY + _haproxy_pairs(
        (f"0.0.0.0:{ports.mesh_http1} {tls}", f"127.0.0.1:{http1}"),
        (f"0.0.0.0:{ports.mesh_grpc} {tls}", f"127.0.0.1:{grpc} proto h2"),
    )


_HAPROXY = """
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  http-reuse always
"""


def _haproxy_pairs(*pairs: tuple[str, str]) -> str:
    return "".join(
        f"frontend f{number}\n  bind {listen}\n  default_backend b{number}\nbackend b{number}\n  server s {upstream}\n"
        for number, (listen, upstream) in enumerate(pairs)
    )


def envoy_outbound(ports: Ports, upstream: str, directory: Path) -> dict[str, object]:
    """Take the application's connections, speak mTLS HTTP/2 to `upstream`."""
    tls = _envoy_tls("UpstreamTlsContext", "a", directory, {"sni": SERVER_NAME})
    return _envoy(
        ("127.0.0.1", ports.http1, None, (upstream, ports.mesh_http1, True, tls)),
        ("127.0.0.1", ports.grpc, None, (upstream, ports.mesh_grpc, True, tls)),
    )


def envoy_inbound(ports: Ports, http1: int, grpc: int, directory: Path) -> dict[str, object]:
    """Take mTLS HTTP/2, speak plaintext to the backend."""
    tls = _envoy_tls("DownstreamTlsContext", "b", directory, {"require_client_certificate": True})
    return _envoy(
        ("0.0.0.0", ports.mesh_http1, tls, ("127.0.0.1", http1, False, None)),
        ("0.0.0.0", ports.mesh_grpc, tls, ("127.0.0.1", grpc, True, None)),
    )


_TYPES = "type.googleapis.com/envoy.extensions"
Socket = dict[str, object]


def _envoy(*pairs: tuple[str, int, Socket | None, tuple[str, int, bool, Socket | None]]) -> dict[str, object]:
    listeners = [_envoy_listener(number, host, port, tls) for number, (host, port, tls, _) in enumerate(pairs)]
    clusters = [_envoy_cluster(number, *upstream) for number, (*_, upstream) in enumerate(pairs)]
    return {"static_resources": {"listeners": listeners, "clusters": clusters}}


def _envoy_address(host: str, port: int) -> dict[str, object]:
    return {"socket_address": {"address": host, "port_value": port}}


def _envoy_listener(number: int, host: str, port: int, tls: Socket | None) -> dict[str, object]:
    router = {"@type": f"{_TYPES}.filters.http.router.v3.Router"}
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "codec_type": "AUTO",
        "generate_request_id": False,
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": f"c{number}", "timeout": "0s"}}],
                }
            ]
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    name = "envoy.filters.network.http_connection_manager"
    chain: dict[str, object] = {"filters": [{"name": name, "typed_config": manager}]}
    if tls is not None:
        chain["transport_socket"] = tls
    return {"address": _envoy_address(host, port), "filter_chains": [chain]}


def _envoy_cluster(number: int, host: str, port: int, http2: bool, tls: Socket | None) -> dict[str, object]:
    endpoint = {"endpoint": {"address": _envoy_address(host, port)}}
    cluster: dict[str, object] = {
        "name": f"c{number}",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {
            "thresholds": [{"max_connections": 10000, "max_pending_requests": 10000, "max_requests": 10000}]
        },
        "load_assignment": {"cluster_name": f"c{number}", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    if http2:
        options = f"{_TYPES}.upstreams.http.v3.HttpProtocolOptions"
        cluster["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": options,
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        }
    if tls is not None:
        cluster["transport_socket"] = tls
    return cluster


def _envoy_tls(context: str, side: str, directory: Path, more: dict[str, object]) -> Socket:
    pair = {
        "certificate_chain": {"filename": f"{directory}/{side}.crt"},
        "private_key": {"filename": f"{directory}/{side}.key"},
    }
    common = {
        "alpn_protocols": ["h2"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [pair],
        "validation_context": {"trusted_ca": {"filename": f"{directory}/ca.crt"}},
    }
    kind = f"{_TYPES}.transport_sockets.tls.v3.{context}"
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": kind, "common_tls_context": common, **more},
    }
