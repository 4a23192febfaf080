"""The peers' configurations are fair: mutual TLS 1.3, HTTP/2 between the proxies, one backend for each protocol."""

import json
from pathlib import Path

from bench import configurations
from bench.configurations import Way
from bench.scenario import DEFAULT, Tuning

WAYS = [
    Way("http1", "http1", 9001, 9043, 8080),
    Way("grpc", "http2", 9002, 9044, 8081),
    Way("tcp", "tcp", 9003, 9045, 8083),
    Way("hop", "http1", 9004, 0, 8080),
]
UPSTREAM = "198.18.0.9"
DIRECTORY = Path("/certificates")


def haproxy(tuning: Tuning = DEFAULT) -> tuple[str, str]:
    outbound = configurations.haproxy_outbound(WAYS, UPSTREAM, DIRECTORY, tuning, 5000)
    return outbound, configurations.haproxy_inbound(WAYS, DIRECTORY, tuning, 5000)


def envoy(tuning: Tuning = DEFAULT) -> tuple[str, str]:
    outbound = configurations.envoy_outbound(WAYS, UPSTREAM, DIRECTORY, tuning)
    return json.dumps(outbound), json.dumps(configurations.envoy_inbound(WAYS, DIRECTORY))


def test_haproxy_verifies_both_sides_and_speaks_http2_between():
    """Requirement: no peer saves work that the others do; opaque TCP is in mutual TLS too, without HTTP/2."""
    outbound, inbound = haproxy()
    for text in (outbound, inbound):
        assert "nbthread 1" in text
        assert "maxconn 5000" in text
        assert text.count("verify required") == text.count("ssl-min-ver TLSv1.3") == 3
        assert text.count("alpn h2") == 2
        assert text.count("mode tcp") == 2
    assert "server s 198.18.0.9:9043 ssl" in outbound
    assert "server s 127.0.0.1:8081 proto h2" in inbound


def test_envoy_verifies_both_sides_and_speaks_http2_between():
    """Requirement: as above; and one listener leads to each of the backend's ports."""
    outbound, inbound = envoy()
    for text in (outbound, inbound):
        assert text.count('"tls_minimum_protocol_version": "TLSv1_3"') == 3
        assert text.count('"filename": "/certificates/ca.crt"') == 3
        assert text.count('"alpn_protocols": ["h2"]') == 2
        assert text.count("v3.TcpProxy") == 1
    assert inbound.count('"require_client_certificate": true') == 3
    assert outbound.count("http2_protocol_options") == 2
    assert inbound.count("http2_protocol_options") == 1


def test_a_hop_leads_to_the_backend_in_plaintext():
    """Requirement: the outbound side alone, HTTP/1 on both sides of it."""
    text, _ = haproxy()
    assert "backend to-hop\n  server s 198.18.0.9:8080\n" in text
    clusters = configurations.envoy_outbound(WAYS, UPSTREAM, DIRECTORY, DEFAULT)["static_resources"]["clusters"]
    hop = next(each for each in clusters if each["name"] == "hop")
    assert "transport_socket" not in hop
    assert "typed_extension_protocol_options" not in hop


def test_nginx_keeps_its_connections_to_the_backend():
    """Requirement: one process, HTTP/1.1 on kept connections, nothing buffered: what the other hops do."""
    text = configurations.nginx_hop([WAYS[3]], UPSTREAM, DIRECTORY)
    assert text.startswith("master_process off;")
    assert "upstream hop { server 198.18.0.9:8080; keepalive 256;" in text
    assert "listen 127.0.0.1:9004;" in text
    assert "proxy_http_version 1.1" in text
    assert "proxy_buffering off" in text


def test_sessions_are_resumed_unless_told_otherwise():
    """Requirement: each peer's own default, and each peer's own switch."""
    without = Tuning(resumption=False)
    assert "no-ssl-reuse" not in haproxy()[0]
    assert haproxy(without)[0].count("no-ssl-reuse") == 3
    assert "max_session_keys" not in envoy()[0]
    assert envoy(without)[0].count('"max_session_keys": 0') == 3


def test_declared_destinations_are_found_by_name():
    """Requirement: each a cluster of its own with the mesh's TLS, on the HTTP/1 way only; none unasked."""
    names = configurations.destinations(3)
    with_them = Tuning(destinations=3)
    text, inbound = haproxy(with_them)
    assert text.count("use_backend") == 1
    for name in names:
        assert f"backend {name}\n  server s 198.18.0.9:9043 ssl" in text
        assert f"backend {name}" not in inbound
    resources = configurations.envoy_outbound(WAYS, UPSTREAM, DIRECTORY, with_them)["static_resources"]
    assert [each["name"] for each in resources["clusters"]] == ["http1", *names, "grpc", "tcp", "hop"]
    assert envoy(with_them)[0].count('"domains": ["d1"]') == 1
    assert "use_backend" not in haproxy()[0]


def test_haproxy_has_as_many_threads_as_workers_are_asked_for():
    """Requirement: two workers are two threads on both sides. Envoy takes theirs on its command line."""
    for text in haproxy(Tuning(workers=2)):
        assert "nbthread 2" in text
