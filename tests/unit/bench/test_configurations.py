"""The peers' configurations are fair: mutual TLS 1.3, HTTP/2 between the proxies, one backend for each protocol."""

import json
from pathlib import Path

from bench import configurations
from bench.configurations import Ports

PORTS = Ports(http1=9001, grpc=9002, mesh_http1=9043, mesh_grpc=9044)
DIRECTORY = Path("/certificates")


def test_haproxy_verifies_both_sides_and_speaks_http2_between():
    """Requirement: no peer saves work that the others do."""
    outbound = configurations.haproxy_outbound(PORTS, "198.18.0.9", DIRECTORY)
    inbound = configurations.haproxy_inbound(PORTS, 8080, 8081, DIRECTORY)
    for text in (outbound, inbound):
        assert "nbthread 1" in text
        assert text.count("verify required") == text.count("alpn h2") == text.count("ssl-min-ver TLSv1.3") == 2
    assert "server s 198.18.0.9:9043 ssl" in outbound
    assert "server s 127.0.0.1:8081 proto h2" in inbound


def test_envoy_verifies_both_sides_and_speaks_http2_between():
    """Requirement: as above; and one listener leads to each of the backend's ports."""
    outbound = json.dumps(configurations.envoy_outbound(PORTS, "198.18.0.9", DIRECTORY))
    inbound = json.dumps(configurations.envoy_inbound(PORTS, 8080, 8081, DIRECTORY))
    for text in (outbound, inbound):
        assert text.count('"tls_minimum_protocol_version": "TLSv1_3"') == 2
        assert text.count('"filename": "/certificates/ca.crt"') == 2
    assert inbound.count('"require_client_certificate": true') == 2
    assert outbound.count("http2_protocol_options") == 2
    assert inbound.count("http2_protocol_options") == 1
