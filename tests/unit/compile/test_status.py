"""Status conditions: what each document is told, and in whose words."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.meshes import WEB, pod, snapshot
from tests.property.test_answers import meshes

from weft.compile.status import Status, statuses
from weft.model import Document, ObjectId
from weft.model.settings import Settings
from weft.model.snapshot import Snapshot

GATEWAY, POLICY = "gateway.networking.k8s.io", "policy.linkerd.io"
PARENT = "{name: web, namespace: default, kind: Service, group: ''"
PROFILE = """
apiVersion: linkerd.io/v1alpha2
kind: ServiceProfile
metadata: {name: web.default.svc.cluster.local}
spec: {routes: [{name: all, condition: {method: GET}}]}
"""
GRPC = f"""
apiVersion: {GATEWAY}/v1
kind: GRPCRoute
metadata: {{name: calls}}
spec: {{parentRefs: [{PARENT}}}]}}
"""


def told(name: str, *documents: str, kind: str = "HTTPRoute") -> list[Status]:
    """The status of the one document of this kind and name, by parent."""
    found = statuses(snapshot(*documents))
    (which,) = (each for each in found if (each.kind, each.name) == (kind, name))
    return list(found[which])


def wrong(name: str, *documents: str, kind: str = "HTTPRoute") -> list[tuple[str, str, str]]:
    """Type, reason and message of each condition that does not hold."""
    return [(e.type, e.reason, e.message) for each in told(name, *documents, kind=kind) for e in each.wrong]


def route(*, parent: str = "", rules: str = "[{}]", namespace: str = "default", name: str = "r") -> str:
    """An HTTPRoute of `web`."""
    return f"""apiVersion: {GATEWAY}/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  parentRefs: [{PARENT}{parent}}}]
  rules: {rules}
"""


def test_a_route_that_is_obeyed_says_so() -> None:
    """Requirement: both conditions of the Gateway API, for each parent by itself."""
    both = route().replace("]\n  rules", f", {PARENT}, port: 81}}]\n  rules")
    first, second = told("r", WEB, both)
    assert [(each.type, each.holds, each.reason) for each in first.conditions] == [
        ("Accepted", True, "Accepted"),
        ("ResolvedRefs", True, "ResolvedRefs"),
    ]
    assert (first.parent and first.parent.port, second.parent and second.parent.port) == (None, 81)
    assert [each.reason for each in second.wrong] == ["NoMatchingParent"]


@pytest.mark.parametrize(
    ("documents", "reason", "message"),
    [
        ([route()], "NoMatchingParent", "Service web does not exist in default"),
        ([WEB, route(parent=", port: 99")], "NoMatchingParent", "Service web has no port 99"),
        ([WEB, route(parent=", sectionName: admin")], "NoMatchingParent", "Service web has no port admin"),
        ([WEB, route(parent=", port: 5432")], "UnsupportedProtocol", "port 5432 of Service web is opaque"),
        (
            [WEB, route(rules="[{filters: [{type: URLRewrite}]}]")],
            "UnsupportedValue",
            "unsupported filter URLRewrite (spec.rules[0].filters): answered with 500",
        ),
        (
            [WEB, route(), GRPC],
            "RouteReasonConflicted",
            "a port with a GRPCRoute has no HTTPRoutes: GRPCRoute/default/calls (mesh.yaml:20)",
        ),
        (
            [WEB, route(), PROFILE],
            "RouteReasonConflicted",
            "ServiceProfile/default/web.default.svc.cluster.local (mesh.yaml:20) takes the place of routes",
        ),
    ],
)
def test_a_route_that_is_not_obeyed_says_why(documents: list[str], reason: str, message: str) -> None:
    """Requirement: one word for programs; for people what is in the way, and where it is written."""
    assert wrong("r", *documents) == [("Accepted", reason, message)]


def test_what_has_no_effect_is_said() -> None:
    """Requirement: a route is accepted with fields that do nothing here, and names them."""
    ((accepted, _),) = (each.conditions for each in told("r", WEB, route(rules="[{}, {retry: {attempts: 2}}]")))
    assert accepted.holds
    assert accepted.message == "without effect here: spec.rules[1].retry"


def test_clients_of_another_namespace_have_their_own_rivals() -> None:
    """Requirement: a GRPCRoute of the Service's namespace does not conflict with the HTTPRoute of a client's."""
    assert wrong("mine", WEB, GRPC, route(namespace="shop", name="mine")) == []


@pytest.mark.parametrize(
    ("backend", "reason", "message"),
    [
        ("{name: gone, port: 80}", "BackendNotFound", "Service not found gone (spec.rules[0].backendRefs[1])"),
        ("{name: web, port: 99}", "BackendNotFound", "Service web has no port 99 (spec.rules[0].backendRefs[1])"),
        (
            "{name: b, kind: Bucket, group: x}",
            "InvalidKind",
            "backend kind Bucket is not supported (spec.rules[0].backendRefs[1])",
        ),
    ],
)
def test_a_backend_that_cannot_be_reached_is_named(backend: str, reason: str, message: str) -> None:
    """Requirement: the route stands, and says which of its backends does not resolve, and where in it."""
    rules = f"[{{backendRefs: [{{name: web, port: 80}}, {backend}]}}]"
    assert wrong("r", WEB, route(rules=rules)) == [("ResolvedRefs", reason, message)]


def test_parents_of_others_are_left_to_them() -> None:
    """Requirement: a Gateway's controller says what becomes of a route there; what cannot be a parent here is told."""
    gateway = route().replace(PARENT, "{name: edge, kind: Gateway")
    assert told("r", WEB, gateway) == []
    egress = route().replace(PARENT, f"{{name: out, kind: EgressNetwork, group: {POLICY}")
    assert wrong("r", WEB, egress) == [("Accepted", "NoMatchingParent", "a route cannot hang on a EgressNetwork here")]


def server(name: str, port: int | str = "http", created: str = "") -> str:
    stamp = f", creationTimestamp: '{created}'" if created else ""
    return f"""
apiVersion: {POLICY}/v1beta3
kind: Server
metadata: {{name: {name}{stamp}}}
spec: {{podSelector: {{matchLabels: {{app: web}}}}, port: {port}}}
"""


def test_servers_that_overlap_say_who_governs() -> None:
    """Requirement: the older Server governs; one that governs no pod is not accepted, one that governs some says so."""
    one, other = (
        pod("web-0", "10.0.0.1"),
        pod("web-1", "10.0.0.2").replace("containerPort: 8080", "containerPort: 9000"),
    )
    old, new = server("old", 8080, "2020-01-01T00:00:00Z"), server("new", "http", "2021-01-01T00:00:00Z")
    ((condition,),) = (each.conditions for each in told("new", one, old, new, kind="Server"))
    assert (condition.holds, condition.reason) == (False, "Conflicted")
    assert condition.message.startswith("the port is governed by Server/default/old (mesh.yaml:")
    ((some,),) = (each.conditions for each in told("new", one, other, old, new, kind="Server"))
    assert some.holds
    assert some.message.startswith("1 of 2 pods are governed by Server/default/old")
    ((none,),) = (each.conditions for each in told("new", new, kind="Server"))
    assert none.holds
    assert none.message == "it selects no port of a pod now"


def policy(target: str, required: str = "[]") -> str:
    return f"""
apiVersion: {POLICY}/v1alpha1
kind: AuthorizationPolicy
metadata: {{name: p}}
spec: {{targetRef: {{{target}}}, requiredAuthenticationRefs: {required}}}
"""


def test_policies_say_what_is_not_there() -> None:
    """Requirement: a target that does not exist and an authentication that does not are told apart."""
    gone = f"[{{group: {POLICY}, kind: MeshTLSAuthentication, name: nobody}}]"
    target = f"group: {POLICY}, kind: Server, name: api"
    missing = "MeshTLSAuthentication/default/nobody: it grants nothing"
    assert wrong("p", policy(target, gone), kind="AuthorizationPolicy") == [
        ("Accepted", "TargetNotFound", "Server/default/api does not exist"),
        ("ResolvedRefs", "AuthenticationNotFound", missing),
    ]
    assert wrong("p", policy(target), server("api"), kind="AuthorizationPolicy") == []
    assert wrong("p", policy("kind: Namespace, name: default"), kind="AuthorizationPolicy") == []
    authorization = f"""
apiVersion: {POLICY}/v1beta1
kind: ServerAuthorization
metadata: {{name: a}}
spec: {{server: {{selector: {{matchLabels: {{tier: x}}}}}}, client: {{unauthenticated: true}}}}
"""
    assert wrong("a", server("api"), authorization, kind="ServerAuthorization") == [
        ("Accepted", "TargetNotFound", "its selector matches no Server")
    ]
    named = authorization.replace("selector: {matchLabels: {tier: x}}", "name: api")
    assert wrong("a", server("api"), named, kind="ServerAuthorization") == []


def test_profiles_say_what_is_not_there() -> None:
    """Requirement: the Service that a profile is named after, and those that its overrides name, must exist."""
    name = "web.default.svc.cluster.local"
    assert wrong(name, PROFILE, WEB, kind="ServiceProfile") == []
    assert wrong(name, PROFILE, kind="ServiceProfile") == [
        ("Accepted", "TargetNotFound", "Service web does not exist in default")
    ]
    split = PROFILE.replace("spec: {", "spec: {dstOverrides: [{authority: 'gone.default.svc.cluster.local:80'}], ")
    assert wrong(name, split, WEB, kind="ServiceProfile") == [
        ("ResolvedRefs", "BackendNotFound", "there is no gone.default.svc.cluster.local:80")
    ]


@settings(max_examples=40)
@given(meshes, st.randoms(use_true_random=False))
def test_the_order_of_documents_is_irrelevant(mesh: list[Document], random: Random) -> None:
    """Requirement: the same documents in any order, put in one by one or at once, have the same status."""
    whole = statuses(Snapshot.of(Settings(), mesh))
    shuffled = list(mesh)
    random.shuffle(shuffled)
    grown = Snapshot(Settings())
    for each in shuffled:
        grown, _ = grown.changed({each.meta.id: each})
    again = statuses(grown)
    assert again == whole
    assert list(again) == list(whole)
    assert all(isinstance(each, ObjectId) for each in whole)
