"""Inbound policies: the defaults, where they come from, probes and opaque ports."""

import pytest
from tests.meshes import pod, snapshot

from weft.compile import InboundOf, answer
from weft.compile.answer import InboundPolicy, Protocol, Unanswerable
from weft.model.authorization import EVERYWHERE, Network
from weft.model.clients import ANYONE, MESHED, Clients
from weft.model.settings import Settings
from weft.model.snapshot import Snapshot
from weft.resources import load_text

CLUSTER = Settings().cluster
KEY = "config.linkerd.io/default-inbound-policy"


def inbound(mesh: Snapshot, port: int = 8080) -> InboundPolicy:
    result, _ = answer(mesh, InboundOf("default", "web-0", port))
    assert isinstance(result, InboundPolicy)
    return result


@pytest.mark.parametrize(
    ("policy", "networks", "clients"),
    [
        ("all-unauthenticated", EVERYWHERE, ANYONE),
        ("all-authenticated", EVERYWHERE, MESHED),
        ("cluster-unauthenticated", CLUSTER, ANYONE),
        ("cluster-authenticated", CLUSTER, MESHED),
        ("audit", EVERYWHERE, ANYONE),
    ],
)
def test_each_default_policy_grants_what_its_name_says(
    policy: str, networks: tuple[Network, ...], clients: Clients
) -> None:
    """Requirement: one authorization, named as the policy."""
    told = inbound(snapshot(pod("web-0", "10.0.0.1", annotations=f"{KEY}: {policy}")))
    (grant,) = told.authorizations
    assert (grant.networks, grant.clients) == (networks, clients)
    assert grant.about.name == told.about.name == policy


def test_a_namespace_of_uris_follows_its_pods() -> None:
    """Requirement: who is in a namespace decides where names are SPIFFE's, so that a pod that comes or goes brings
    another answer; where they are DNS-like the namespace is a suffix, and its pods cost nothing.
    """
    documents = """
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: web}
spec: {podSelector: {}, port: 8080}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: {name: batch}
spec:
  targetRef: {group: policy.linkerd.io, kind: Server, name: web}
  requiredAuthenticationRefs: [{group: policy.linkerd.io, kind: MeshTLSAuthentication, name: batch}]
---
apiVersion: policy.linkerd.io/v1alpha1
kind: MeshTLSAuthentication
metadata: {name: batch}
spec: {identityRefs: [{kind: Namespace, name: batch}]}
"""
    job = pod("job-0", "10.0.0.2", app="job", namespace="batch")
    for spiffe in (True, False):
        mesh = snapshot(documents, pod("web-0", "10.0.0.1"), settings=Settings(spiffe=spiffe))
        before, because = answer(mesh, InboundOf("default", "web-0", 8080))
        (joined,) = load_text(job, "job.yaml").documents
        after, touched = mesh.changed({joined.meta.id: joined})
        assert bool(because.found.keys() & touched) is spiffe
        assert isinstance(before, InboundPolicy)
        clients = [before.authorizations[0].clients, inbound(after).authorizations[0].clients]
        if spiffe:
            assert [each.identities for each in clients] == [(), ("spiffe://cluster.local/ns/batch/sa/job",)]
        else:
            assert [each.suffixes for each in clients] == [("batch.serviceaccount.identity.weft.cluster.local",)] * 2


def test_deny_grants_nothing_but_probes() -> None:
    """Requirement: the machine's own probe is let in always, on its path with GET and on its port only."""
    mesh = snapshot(pod("web-0", "10.0.0.1", annotations=f"{KEY}: deny"))
    told = inbound(mesh)
    assert told.authorizations == ()
    probe, everything = told.routes
    assert [(match.method, match.path and match.path.value) for match in probe.rules[0].matches] == [
        ("GET", "/healthz")
    ]
    assert [grant.clients for grant in probe.authorizations] == [ANYONE]
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


def server(name: str, spec: str, more: str = "") -> str:
    about = f"{{name: {name}{more}}}"
    return f"apiVersion: policy.linkerd.io/v1beta3\nkind: Server\nmetadata: {about}\nspec: {{{spec}}}"


@pytest.mark.parametrize(
    ("written", "protocol"),
    [
        ("unknown", Protocol.DETECT),
        ("HTTP/1", Protocol.HTTP1),
        ("HTTP/2", Protocol.HTTP2),
        ("gRPC", Protocol.GRPC),
        ("opaque", Protocol.OPAQUE),
        ("TLS", Protocol.TLS),
    ],
)
def test_a_server_says_what_is_spoken_and_who_may_come(written: str, protocol: Protocol) -> None:
    """Requirement: proxyProtocol and accessPolicy are the Server's, not the pod's; nobody is let in by default."""
    pods = pod("web-0", "10.0.0.1", annotations="config.linkerd.io/opaque-ports: '8080'")
    mesh = snapshot(pods, server("s", f"podSelector: {{}}, port: http, proxyProtocol: {written}"))
    told = inbound(mesh)
    assert (told.protocol, told.authorizations) == (protocol, ())
    assert (told.about.group, told.about.kind, told.about.name) == ("policy.linkerd.io", "server", "s")
    assert inbound(mesh, 8081).about.kind == "default"
    mesh = snapshot(pods, server("s", "podSelector: {}, port: 8080, accessPolicy: cluster-authenticated"))
    (grant,) = inbound(mesh).authorizations
    assert (grant.about.name, grant.networks, grant.clients) == ("cluster-authenticated", CLUSTER, MESHED)


def test_of_several_servers_the_oldest_governs() -> None:
    """Requirement: as in Linkerd: the oldest, then the first by name; those of other pods do not count."""
    every = "podSelector: {}, port: 8080"
    named = snapshot(pod("web-0", "10.0.0.1"), server("b", every), server("a", every))
    assert inbound(named).about.name == "a"
    old = server("z", every, ", creationTimestamp: '2026-01-01T00:00:00Z'")
    assert inbound(snapshot(pod("web-0", "10.0.0.1"), server("a", every), old)).about.name == "z"
    outside = "externalWorkloadSelector: {}, port: 8080"
    others = (server("a", outside), server("b", "podSelector: {matchLabels: {app: db}}, port: 8080"))
    assert inbound(snapshot(pod("web-0", "10.0.0.1"), *others)).about.kind == "default"


@pytest.mark.parametrize(
    ("expression", "selects"),
    [
        ("{key: app, operator: In, values: [db, web]}", True),
        ("{key: app, operator: NotIn, values: [web]}", False),
        ("{key: tier, operator: NotIn, values: [web]}", True),
        ("{key: app, operator: Exists}", True),
        ("{key: app, operator: DoesNotExist}", False),
    ],
)
def test_expressions_select_as_in_kubernetes(expression: str, selects: bool) -> None:
    """Requirement: each operator; NotIn holds where the label is absent."""
    written = server("s", f"podSelector: {{matchExpressions: [{expression}]}}, port: 8080")
    mesh = snapshot(pod("web-0", "10.0.0.1"), written)
    assert (inbound(mesh).about.kind == "server") is selects


def test_a_pod_that_is_not_there_has_no_policy() -> None:
    """Requirement: an unknown workload is a refusal, not a default."""
    assert isinstance(answer(snapshot(), InboundOf("default", "web-0", 80))[0], Unanswerable)
