"""Inbound policies: the defaults, where they come from, probes and opaque ports."""

import pytest
from tests.meshes import pod, snapshot

from weft.compile import InboundOf, answer
from weft.compile.answer import Clients, InboundPolicy, Protocol, Unanswerable
from weft.model.settings import Settings
from weft.model.snapshot import Snapshot

EVERYWHERE = ("0.0.0.0/0", "::/0")
CLUSTER = Settings().cluster_networks
KEY = "config.linkerd.io/default-inbound-policy"


def inbound(mesh: Snapshot, port: int = 8080) -> InboundPolicy:
    result, _ = answer(mesh, InboundOf("default", "web-0", port))
    assert isinstance(result, InboundPolicy)
    return result


@pytest.mark.parametrize(
    ("policy", "networks", "clients"),
    [
        ("all-unauthenticated", EVERYWHERE, Clients.ANYONE),
        ("all-authenticated", EVERYWHERE, Clients.MESHED),
        ("cluster-unauthenticated", CLUSTER, Clients.ANYONE),
        ("cluster-authenticated", CLUSTER, Clients.MESHED),
        ("audit", EVERYWHERE, Clients.ANYONE),
    ],
)
def test_each_default_policy_grants_what_its_name_says(
    policy: str, networks: tuple[str, ...], clients: Clients
) -> None:
    """Requirement: one authorization, named as the policy."""
    told = inbound(snapshot(pod("web-0", "10.0.0.1", annotations=f"{KEY}: {policy}")))
    (grant,) = told.authorizations
    assert (grant.networks, grant.clients) == (networks, clients)
    assert grant.about.name == told.about.name == policy


def test_deny_grants_nothing_but_probes() -> None:
    """Requirement: the machine's own probe is let in always, on its path with GET and on its port only."""
    mesh = snapshot(pod("web-0", "10.0.0.1", annotations=f"{KEY}: deny"))
    told = inbound(mesh)
    assert told.authorizations == ()
    probe, everything = told.routes
    assert [(match.method, match.path and match.path.value) for match in probe.matches] == [("GET", "/healthz")]
    assert [grant.clients for grant in probe.authorizations] == [Clients.ANYONE]
    assert everything.authorizations == ()
    assert [route.about.name for route in inbound(mesh, 9).routes] == ["default"]


@pytest.mark.parametrize(
    ("of_pod", "of_namespace", "expected"),
    [
        ("", "", "cluster-authenticated"),
        ("", "deny", "deny"),
        ("audit", "deny", "audit"),
        ("nonsense", "deny", "deny"),
        ("", "nonsense", "cluster-authenticated"),
    ],
)
def test_the_nearest_valid_default_holds(of_pod: str, of_namespace: str, expected: str) -> None:
    """Requirement: pod, then namespace, then mesh; a name that does not exist is passed over."""
    mesh = snapshot(
        pod("web-0", "10.0.0.1", annotations=f"{KEY}: '{of_pod}'"),
        f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: default, annotations: {{{KEY}: '{of_namespace}'}}}}",
        settings=Settings(default_inbound_policy="cluster-authenticated"),
    )
    assert inbound(mesh).about.name == expected


def test_an_opaque_port_is_not_detected() -> None:
    """Requirement: opaque ports are told so; others are detected for ten seconds."""
    mesh = snapshot(pod("web-0", "10.0.0.1"))
    assert (inbound(mesh, 3306).protocol, inbound(mesh, 3306).routes) == (Protocol.OPAQUE, ())
    assert (inbound(mesh).protocol, inbound(mesh).detect_timeout) == (Protocol.DETECT, 10.0)


def test_a_pod_that_is_not_there_has_no_policy() -> None:
    """Requirement: an unknown workload is a refusal, not a default."""
    assert isinstance(answer(snapshot(), InboundOf("default", "web-0", 80))[0], Unanswerable)
