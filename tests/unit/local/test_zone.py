"""Names of a mesh."""

from collections.abc import Callable

import dns.message
import dns.rcode
import pytest

from weft.local import zone
from weft.local.plan import Plan

HEADLESS = """
---
apiVersion: v1
kind: Service
metadata: {name: each}
spec: {clusterIP: None, selector: {app: voting}, ports: [{name: grpc, port: 8080}]}
"""


@pytest.fixture
def names(mesh: str, planned: Callable[..., Plan]) -> zone.Zone:
    return zone.build(planned(mesh + HEADLESS), {"default/voting-0", "default/voting-1"})


def ask(names: zone.Zone, name: str, kind: str = "A") -> tuple[str, list[str]]:
    reply = names.answer(dns.message.make_query(name, kind))
    return dns.rcode.to_text(reply.rcode()), sorted(str(item) for found in reply.answer for item in found)


@pytest.mark.parametrize("name", ["voting.default", "Voting.default.svc", "voting.default.svc.cluster.local"])
def test_a_service_has_its_kubernetes_names(names: zone.Zone, name: str) -> None:
    """Requirement: the name in each of its lengths, in any case of letters, is the Service's address."""
    assert ask(names, name) == ("NOERROR", ["198.19.0.1"])


def test_a_headless_service_is_its_ready_replicas(names: zone.Zone) -> None:
    """Requirement: one record per ready replica, each also under its own name."""
    assert ask(names, "each.default.svc.cluster.local") == ("NOERROR", ["198.18.1.1", "198.18.1.2"])
    assert ask(names, "voting-1.each.default.svc.cluster.local") == ("NOERROR", ["198.18.1.2"])


def test_named_ports_have_srv_records(names: zone.Zone) -> None:
    """Requirement: `_port._proto.service` names port and host."""
    name = "_grpc._tcp.voting.default.svc.cluster.local"
    assert ask(names, name, "SRV") == ("NOERROR", ["0 100 8080 voting.default.svc.cluster.local."])


def test_a_known_name_without_such_records_is_empty_and_an_unknown_one_does_not_exist(names: zone.Zone) -> None:
    """Requirement: AAAA of an IPv4 name is no error (or resolvers give up); everything else is NXDOMAIN at once."""
    assert ask(names, "voting.default.svc.cluster.local", "AAAA") == ("NOERROR", [])
    assert ask(names, "example.com") == ("NXDOMAIN", [])
    assert ask(names, "voting.svc.cluster.local") == ("NXDOMAIN", [])
