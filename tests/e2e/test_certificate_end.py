"""A certificate runs out while nobody can renew it."""

import re
import ssl
import time
from pathlib import Path

import pytest
from tests.e2e.one_proxy import Proxy, running

from weft.testing import wait_until

pytestmark = pytest.mark.e2e
LIFETIME = 6


def counted(proxy: Proxy, name: str) -> float:
    found = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", proxy.ask("GET", "/metrics")[2].decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_certificate_is_used_to_its_end_and_then_refused(tmp_path: Path) -> None:
    """Requirement: without the identity service the certificate serves to its end, with failures counted and logged.

    After the end the proxy is not ready, says so, and closes what comes by mesh TLS as `no_certificate`.
    """
    with running(tmp_path, lifetime=LIFETIME, LINKERD2_PROXY_IDENTITY_MIN_REFRESH="1s") as proxy:
        wait_until(lambda: counted(proxy, "control_identity_cert_refreshes_total") >= 2, "renewed before its end")
        proxy.control_plane.kill()
        proxy.control_plane.wait()
        failures = "control_identity_cert_refresh_failures_total"
        wait_until(lambda: counted(proxy, failures) > 0, "the failure is counted")
        end = counted(proxy, "control_identity_cert_expiration_timestamp_seconds")
        assert end - LIFETIME < time.time() < end
        proxy.connect(proxy.admin).close()  # mesh TLS is still answered
        wait_until(lambda: proxy.logged("not certified"), "the failure is logged")
        assert any("ends_in" in line for line in proxy.lines if "not certified" in line)

        wait_until(lambda: proxy.ask("GET", "/ready")[0] == 503, "the end is noticed")
        assert time.time() >= end
        assert proxy.ask("GET", "/ready")[2] == b"not ready: identity\n"
        assert counted(proxy, "control_identity_cert_expiration_timestamp_seconds") == end
        wait_until(lambda: proxy.logged("the certificate has ended"), "the end is logged")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            proxy.connect(proxy.admin)
        refused = r'inbound_tcp_errors_total\{[^}]*error="no_certificate"[^}]*\} 1\n'
        wait_until(lambda: re.search(refused, proxy.ask("GET", "/metrics")[2].decode()), "the refusal is counted")
