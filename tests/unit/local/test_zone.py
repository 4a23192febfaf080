"""Names of a mesh."""

from collections.abc import Callable

import dns.message
import dns.rcode
import dns.reversename
import pytest

from weft.local import zone
from weft.local.listening import Listening
from weft.local.plan import Plan

UNMESHED = "labels: {app: voting}, annotations: {linkerd.io/inject: disabled}"
HEADLESS = """
---
apiVersion: v1
kind: Service
metadata: {name: each}
spec: {clusterIP: None, selector: {app: voting}, ports: [{name: grpc, port: 8080}]}
"""


@pytest.fixture
def names(mesh: str, planned: Callable[..., Plan]) -> zone.Zone:
    return zone.build(planned(mesh + HEADLESS), {"default/voting-0", "default/voting-1"}, {})


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


def test_names_have_addresses_of_both_families(names: zone.Zone) -> None:
    """Requirement: AAAA beside A, for Services, for the replicas of a headless one, and for each replica's name."""
    assert ask(names, "voting.default", "AAAA") == ("NOERROR", ["fdb6:5e1f:9d2c:1::c613:1"])
    each = ["fdb6:5e1f:9d2c::c612:101", "fdb6:5e1f:9d2c::c612:102"]
    assert ask(names, "each.default.svc.cluster.local", "AAAA") == ("NOERROR", each)
    assert ask(names, "voting-1.each.default.svc.cluster.local", "AAAA") == ("NOERROR", each[1:])


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("198.19.0.1", "voting.default.svc.cluster.local."),
        ("fdb6:5e1f:9d2c:1::c613:1", "voting.default.svc.cluster.local."),
        ("198.18.1.2", "voting-1.each.default.svc.cluster.local."),
        ("fdb6:5e1f:9d2c::c612:102", "voting-1.each.default.svc.cluster.local."),
    ],
)
def test_addresses_have_names(names: zone.Zone, address: str, name: str) -> None:
    """Requirement: in-addr.arpa and ip6.arpa lead back from an address to one name."""
    asked = dns.reversename.from_address(address).to_text()
    assert ask(names, asked, "PTR") == ("NOERROR", [name])


def test_a_replica_without_a_proxy_has_ipv6_when_it_listens_there(mesh: str, planned: Callable[..., Plan]) -> None:
    """Requirement: a name never leads by IPv6 to an application on 0.0.0.0 only, where no proxy stands in."""
    made = planned(mesh.replace("labels: {app: voting}", UNMESHED) + HEADLESS)
    both = frozenset({("TCP", 8080)})
    listening = {"default/voting-0": Listening(ipv6=both), "default/voting-1": Listening(ipv4=both)}
    names = zone.build(made, {"default/voting-0", "default/voting-1"}, listening)
    assert ask(names, "each.default", "AAAA") == ("NOERROR", ["fdb6:5e1f:9d2c::c612:101"])


def test_a_service_of_one_family_has_records_of_one(mesh: str, planned: Callable[..., Plan]) -> None:
    """Requirement: ipFamilies holds for names too, those of a headless Service as well."""
    one = HEADLESS.replace("spec: {", "spec: {ipFamilies: [IPv6], ")
    names = zone.build(planned(mesh + one), {"default/voting-0"}, {})
    assert ask(names, "each.default") == ("NOERROR", [])
    assert ask(names, "each.default", "AAAA") == ("NOERROR", ["fdb6:5e1f:9d2c::c612:101"])


def test_a_replica_finds_itself_by_its_own_name(mesh: str, planned: Callable[..., Plan]) -> None:
    """Requirement: /etc/hosts has loopback and the replica's own name in both families."""
    written = zone.hosts(planned(mesh).replicas["default/voting-0"]).splitlines()
    assert "198.18.1.1 voting-0" in written
    assert "fdb6:5e1f:9d2c::c612:101 voting-0" in written
    assert "::1 localhost ip6-localhost ip6-loopback" in written


def test_a_known_name_without_such_records_is_empty_and_an_unknown_one_does_not_exist(names: zone.Zone) -> None:
    """Requirement: TXT of a name is no error (or resolvers give up); everything else is NXDOMAIN at once."""
    assert ask(names, "voting.default.svc.cluster.local", "TXT") == ("NOERROR", [])
    assert ask(names, "example.com") == ("NXDOMAIN", [])
    assert ask(names, "voting.svc.cluster.local") == ("NXDOMAIN", [])


@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        ("example.com", True),
        ("svc.example.com", True),
        ("1.2.0.192.in-addr.arpa", True),
        ("8.b.d.0.1.0.0.2.ip6.arpa", True),
        ("voting", True),
        ("voting.default", False),
        ("gone.default.svc", False),
        ("example.com.default.svc.cluster.local", False),
        ("cluster.local", False),
        ("host.weft.internal", False),
        ("other.weft.internal", False),
        ("9.1.18.198.in-addr.arpa", False),
        ("9.9.0.0.c.2.d.9.f.1.e.5.6.b.d.f.ip6.arpa", False),
        ("", False),
    ],
)
def test_names_of_the_mesh_are_asked_nowhere_else(
    mesh: str, planned: Callable[..., Plan], name: str, foreign: bool
) -> None:
    """Requirement: what could be the mesh's own, names and addresses, never reaches the host's name servers."""
    assert zone.build(planned(mesh), set(), {}).is_foreign(name) is foreign
