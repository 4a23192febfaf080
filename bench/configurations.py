"""The peers' configurations, as fair as we know how: one worker, TLS 1.3 with client certificates, HTTP/2 between.

Each side has a listener for each way to the backend, as a plaintext HTTP/2 upstream has to be declared. Opaque TCP is
carried in mutual TLS as it is. No access log, no request ids, no limits that the load could meet. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.certificates import SERVER_NAME
from bench.scenario import Route, Tuning

Spoken = Literal["http1", "http2", "tcp"]
Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Way:
    """A listener of the outbound side on loopback, which leads to one of the inbound side on every address."""

    route: Route
    spoken: Spoken
    """By the application's client and by the backend."""
    outbound: int
    inbound: int
    """0: there is no inbound side; the outbound one speaks plaintext to the backend."""
    backend: int
    """The backend's port."""


def haproxy_outbound(ways: Sequence[Way], upstream: str, directory: Path, tuning: Tuning, connections: int) -> str:
    """Take the application's connections, so many at most, speak mTLS HTTP/2 to `upstream`."""
    tls = f"ssl verify required ca-file {directory}/ca.crt crt {directory}/a.pem"
    tls += f" sni str({SERVER_NAME}) verifyhost {SERVER_NAME} ssl-min-ver TLSv1.3"
    tls += "" if tuning.resumption else " no-ssl-reuse"
    text = _haproxy(tuning, connections)
    for way in ways:
        if way.inbound:
            server = f"{upstream}:{way.inbound} {tls}" + ("" if way.spoken == "tcp" else " alpn h2")
        else:
            server = f"{upstream}:{way.backend}"
        names = destinations(tuning.destinations) if way.route == "http1" else []
        text += _haproxy_way(way, f"127.0.0.1:{way.outbound}", server, names)
    return text


def haproxy_inbound(ways: Sequence[Way], directory: Path, tuning: Tuning, connections: int) -> str:
    """Take mTLS HTTP/2, speak plaintext to the backend."""
    tls = f"ssl crt {directory}/b.pem ca-file {directory}/ca.crt verify required ssl-min-ver TLSv1.3"
    text = _haproxy(tuning, connections)
    for way in ways:
        if way.inbound:
            listen = f"0.0.0.0:{way.inbound} {tls}" + ("" if way.spoken == "tcp" else " alpn h2")
            server = f"127.0.0.1:{way.backend}" + (" proto h2" if way.spoken == "http2" else "")
            text += _haproxy_way(way, listen, server, [])
    return text


def _haproxy(tuning: Tuning, connections: int) -> str:
    return f"""
global
  nbthread {tuning.workers}
  maxconn {connections}
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  http-reuse always
"""


def _haproxy_way(way: Way, listen: str, server: str, names: Sequence[str]) -> str:
    mode = "\n  mode tcp" if way.spoken == "tcp" else ""
    text = f"frontend {way.route}{mode}\n  bind {listen}\n  default_backend to-{way.route}\n"
    if names:
        text += "  use_backend %[req.hdr(host)] if { req.hdr(host) -m beg d }\n"
    text += f"backend to-{way.route}{mode}\n  server s {server}\n"
    return text + "".join(f"backend {name}\n  server s {server}\n" for name in names)


def destinations(number: int) -> list[str]:
    """The names by which a client asks for declared destinations."""
    return [f"d{each}" for each in range(number)]


def nginx_hop(ways: Sequence[Way], upstream: str, directory: Path) -> str:
    """Take the application's connections, speak plaintext HTTP/1 to `upstream`."""
    servers = "".join(
        f"""
  upstream {way.route} {{ server {upstream}:{way.backend}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{way.outbound};
    location / {{
      proxy_pass http://{way.route}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}"""
        for way in ways
    )
    # Its master carries nothing: without one the process that is measured is the one that was started.
    return "master_process off;" + nginx(directory, servers)


def nginx(directory: Path, servers: str) -> str:
    """One worker, no log, no limit on a connection's requests; `directory` is for its files."""
    temporary = "".join(f"{kind}_temp_path {directory}/{kind};" for kind in _NGINX_TEMPORARY)
    return f"""
worker_processes 1; daemon off; pid {directory}/pid; error_log stderr error;
worker_rlimit_nofile 20480;
events {{ worker_connections 20480; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; {temporary}{servers}
}}
"""


_NGINX_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def envoy_outbound(ways: Sequence[Way], upstream: str, directory: Path, tuning: Tuning) -> Json:
    """Take the application's connections, speak mTLS HTTP/2 to `upstream`."""
    listeners, clusters = [], []
    for way in ways:
        names = destinations(tuning.destinations) if way.route == "http1" else []
        listeners.append(_envoy_listener(way, "127.0.0.1", way.outbound, None, names))
        alpn = [] if way.spoken == "tcp" else ["h2"]
        more: Json = {"sni": SERVER_NAME} | ({} if tuning.resumption else {"max_session_keys": 0})
        tls = _envoy_tls("UpstreamTlsContext", "a", directory, alpn, more) if way.inbound else None
        http2 = way.spoken != "tcp" and bool(way.inbound)
        port = way.inbound or way.backend
        clusters += [_envoy_cluster(name, upstream, port, http2, tls) for name in (way.route, *names)]
    return {"static_resources": {"listeners": listeners, "clusters": clusters}}


def envoy_inbound(ways: Sequence[Way], directory: Path) -> Json:
    """Take mTLS HTTP/2, speak plaintext to the backend."""
    listeners, clusters = [], []
    for way in ways:
        if way.inbound:
            alpn = [] if way.spoken == "tcp" else ["h2"]
            tls = _envoy_tls("DownstreamTlsContext", "b", directory, alpn, {"require_client_certificate": True})
            listeners.append(_envoy_listener(way, "0.0.0.0", way.inbound, tls, []))
            clusters.append(_envoy_cluster(way.route, "127.0.0.1", way.backend, way.spoken == "http2", None))
    return {"static_resources": {"listeners": listeners, "clusters": clusters}}


_TYPES = "type.googleapis.com/envoy.extensions"


def _envoy_address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}


def _envoy_listener(way: Way, host: str, port: int, tls: Json | None, names: Sequence[str]) -> Json:
    chain: Json = {"filters": [_envoy_tcp(way) if way.spoken == "tcp" else _envoy_http(way, names)]}
    if tls is not None:
        chain["transport_socket"] = tls
    return {"address": _envoy_address(host, port), "filter_chains": [chain]}


def _envoy_tcp(way: Way) -> Json:
    kind = f"{_TYPES}.filters.network.tcp_proxy.v3.TcpProxy"
    return {
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {"@type": kind, "stat_prefix": way.route, "cluster": way.route},
    }


def _envoy_http(way: Way, names: Sequence[str]) -> Json:
    router = {"@type": f"{_TYPES}.filters.http.router.v3.Router"}
    hosts = [_envoy_host("all", "*", way.route), *(_envoy_host(name, name, name) for name in names)]
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "codec_type": "AUTO",
        "generate_request_id": False,
        "route_config": {"virtual_hosts": hosts},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _envoy_host(name: str, domain: str, cluster: str) -> Json:
    route = {"match": {"prefix": "/"}, "route": {"cluster": cluster, "timeout": "0s"}}
    return {"name": name, "domains": [domain], "routes": [route]}


def _envoy_cluster(name: str, host: str, port: int, http2: bool, tls: Json | None) -> Json:
    endpoint = {"endpoint": {"address": _envoy_address(host, port)}}
    cluster: Json = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {
            "thresholds": [{"max_connections": 10000, "max_pending_requests": 10000, "max_requests": 10000}]
        },
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
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


def _envoy_tls(context: str, side: str, directory: Path, alpn: list[str], more: Json) -> Json:
    pair = {
        "certificate_chain": {"filename": f"{directory}/{side}.crt"},
        "private_key": {"filename": f"{directory}/{side}.key"},
    }
    common = {
        "alpn_protocols": alpn,
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [pair],
        "validation_context": {"trusted_ca": {"filename": f"{directory}/ca.crt"}},
    }
    kind = f"{_TYPES}.transport_sockets.tls.v3.{context}"
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": kind, "common_tls_context": common, **more},
    }
