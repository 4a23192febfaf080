"""The documents about access are read as Linkerd's users write them; what is wrong with one has its line and a hint."""

import pytest

from weft.lib.errors import Problem
from weft.model import AuthorizationPolicy, Document, MeshTLSAuthentication, NetworkAuthentication, ServerAuthorization
from weft.model.authorization import EVERYWHERE, Account, Network
from weft.model.clients import ANY_TLS, ANYONE, Clients, Proof
from weft.model.meta import ObjectId
from weft.model.server import Selector
from weft.resources import load_text

GROUP = "policy.linkerd.io"


def written(kind: str, spec: str, version: str = "v1alpha1") -> str:
    return f"apiVersion: {GROUP}/{version}\nkind: {kind}\nmetadata: {{name: a, namespace: shop}}\nspec:\n{spec}"


def read(kind: str, spec: str, version: str = "v1alpha1") -> Document:
    loaded = load_text(written(kind, spec, version), "mesh.yaml")
    assert loaded.problems == ()
    (document,) = loaded.documents
    return document


def problem(kind: str, spec: str, version: str = "v1alpha1") -> Problem:
    loaded = load_text(written(kind, spec, version), "mesh.yaml")
    assert loaded.documents == ()
    (one,) = loaded.problems
    return one


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        (f"group: {GROUP}, kind: Server, name: web", ObjectId(GROUP, "Server", "shop", "web")),
        (f"group: {GROUP}, kind: HTTPRoute, name: web", ObjectId(GROUP, "HTTPRoute", "shop", "web")),
        (
            "group: gateway.networking.k8s.io, kind: GRPCRoute, name: web",
            ObjectId("gateway.networking.k8s.io", "GRPCRoute", "shop", "web"),
        ),
        ("kind: Namespace, name: shop", ObjectId("", "Namespace", "", "shop")),
        ("group: core, kind: Namespace, name: shop", ObjectId("", "Namespace", "", "shop")),
    ],
)
def test_a_policy_has_a_target_and_what_it_requires(target: str, meant: ObjectId) -> None:
    """Requirement: the four kinds of target; references without a namespace are to the policy's own."""
    spec = f"""
  targetRef: {{{target}}}
  requiredAuthenticationRefs:
  - {{group: {GROUP}, kind: MeshTLSAuthentication, name: m}}
  - {{group: {GROUP}, kind: NetworkAuthentication, name: n, namespace: infra}}
"""
    policy = read("AuthorizationPolicy", spec)
    assert isinstance(policy, AuthorizationPolicy)
    assert policy.target == meant
    assert policy.required == (
        ObjectId(GROUP, "MeshTLSAuthentication", "shop", "m"),
        ObjectId(GROUP, "NetworkAuthentication", "infra", "n"),
    )
    accounts = f"  targetRef: {{{target}}}\n  requiredAuthenticationRefs: [{{kind: ServiceAccount, name: web}}]\n"
    policy = read("AuthorizationPolicy", accounts)
    assert isinstance(policy, AuthorizationPolicy)
    assert policy.required == (Account("shop", "web"),)


def test_authentications_are_read() -> None:
    """Requirement: identities or references to accounts and namespaces; networks with exceptions, or addresses."""
    mesh = read("MeshTLSAuthentication", '  identities: ["*", "*.shop", "a.b", "spiffe://d/w"]\n')
    assert isinstance(mesh, MeshTLSAuthentication)
    assert mesh.identities == ("*", "*.shop", "a.b", "spiffe://d/w")
    refs = "  identityRefs: [{kind: ServiceAccount, name: web}, {kind: Namespace, name: infra}]\n"
    mesh = read("MeshTLSAuthentication", refs)
    assert isinstance(mesh, MeshTLSAuthentication)
    assert (mesh.accounts, mesh.namespaces) == ((Account("shop", "web"),), ("infra",))
    spec = "  networks:\n  - {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.3.4]}\n  - cidr: fd00::1\n"
    network = read("NetworkAuthentication", spec)
    assert isinstance(network, NetworkAuthentication)
    assert network.networks == (Network("10.0.0.0/8", ("10.1.0.0/16", "10.2.3.4/32")), Network("fd00::1/128"))


@pytest.mark.parametrize(
    ("client", "networks", "clients", "accounts"),
    [
        ("{unauthenticated: true}", EVERYWHERE, ANYONE, ()),
        ("{unauthenticated: true, networks: [{cidr: 10.0.0.0/8}]}", (Network("10.0.0.0/8"),), ANYONE, ()),
        ("{meshTLS: {unauthenticatedTLS: true}}", EVERYWHERE, ANY_TLS, ()),
        ('{meshTLS: {identities: ["*"]}}', EVERYWHERE, Clients(Proof.IDENTITY, (), ("",)), ()),
        ('{meshTLS: {identities: ["A.b", "*.c"]}}', EVERYWHERE, Clients(Proof.IDENTITY, ("a.b",), ("c",)), ()),
        (
            "{meshTLS: {serviceAccounts: [{name: a}, {name: b, namespace: n}]}}",
            EVERYWHERE,
            Clients(Proof.IDENTITY),
            (Account("shop", "a"), Account("n", "b")),
        ),
    ],
)
def test_a_server_authorization_is_complete_in_itself(
    client: str, networks: tuple[Network, ...], clients: Clients, accounts: tuple[Account, ...]
) -> None:
    """Requirement: clients by proof, names, accounts and networks; no networks mean all."""
    for version in ("v1alpha1", "v1beta1"):
        grant = read("ServerAuthorization", f"  server: {{name: web}}\n  client: {client}\n", version)
        assert isinstance(grant, ServerAuthorization)
        assert (grant.networks, grant.clients, grant.accounts) == (networks, clients, accounts)
        assert grant.server == "web"
    spec = "  server: {selector: {matchLabels: {app: web}}}\n  client: {unauthenticated: true}\n"
    chosen = read("ServerAuthorization", spec, "v1beta1")
    assert isinstance(chosen, ServerAuthorization)
    assert chosen.server == Selector({"app": "web"})


TARGET = f"  targetRef: {{group: {GROUP}, kind: Server, name: web}}\n"
MESH = f"{{group: {GROUP}, kind: MeshTLSAuthentication, name: m}}"
NETWORK = f"{{group: {GROUP}, kind: NetworkAuthentication, name: n}}"


@pytest.mark.parametrize(
    ("kind", "spec", "line", "words"),
    [
        ("AuthorizationPolicy", "  requiredAuthenticationRefs: []\n", 4, "`targetRef` is missing"),
        ("AuthorizationPolicy", TARGET, 4, "`requiredAuthenticationRefs` is missing"),
        (
            "AuthorizationPolicy",
            "  targetRef: {kind: Service, name: web}\n  requiredAuthenticationRefs: []\n",
            5,
            "`Service` is not a kind that can be meant here",
        ),
        (
            "AuthorizationPolicy",
            "  targetRef: {kind: Server, name: web}\n  requiredAuthenticationRefs: []\n",
            5,
            "Server is of `policy.linkerd.io`",
        ),
        (
            "AuthorizationPolicy",
            "  targetRef: {kind: Namespace, name: other}\n  requiredAuthenticationRefs: []\n",
            5,
            "in namespace `shop` and its target in `other`",
        ),
        (
            "AuthorizationPolicy",
            f"  targetRef: {{group: {GROUP}, kind: Server, name: web, namespace: other}}\n"
            "  requiredAuthenticationRefs: []\n",
            5,
            "stands in the namespace of its target",
        ),
        (
            "AuthorizationPolicy",
            f"{TARGET}  requiredAuthenticationRefs:\n  - {MESH}\n  - {{kind: ServiceAccount, name: a}}\n",
            8,
            "more than one MeshTLSAuthentication or ServiceAccount",
        ),
        (
            "AuthorizationPolicy",
            f"{TARGET}  requiredAuthenticationRefs:\n  - {NETWORK}\n  - {NETWORK}\n",
            8,
            "write a second policy",
        ),
        (
            "AuthorizationPolicy",
            f"{TARGET}  requiredAuthenticationRefs:\n  - {{group: {GROUP}, kind: MeshTlsAuthentication, name: m}}\n",
            7,
            "did you mean `MeshTLSAuthentication`?",
        ),
        ("NetworkAuthentication", "  networks: [{cidr: '::/0', exept: []}]\n", 5, "did you mean `except`?"),
        ("MeshTLSAuthentication", "  {}\n", 4, "exactly one of identities and identityRefs"),
        ("MeshTLSAuthentication", "  identities: []\n", 5, "nobody would be meant"),
        ("MeshTLSAuthentication", "  identities:\n  - a.b\n  - a.*.b\n", 7, "`a.*.b` is not an identity"),
        ("MeshTLSAuthentication", "  identities: [https://a/b]\n", 5, "is not an identity"),
        ("MeshTLSAuthentication", "  identityRefs:\n  - {kind: Service, name: a}\n", 6, "`Service` is not a kind"),
        ("MeshTLSAuthentication", "  identityRefs:\n  - {kind: Namespace, name: a, namespace: b}\n", 6, "leave"),
        ("NetworkAuthentication", "  networks: []\n", 5, "nobody would be meant"),
        ("NetworkAuthentication", "  networks:\n  - cidr: 10.0.0.0/33\n", 6, "`10.0.0.0/33` is not a network"),
        (
            "NetworkAuthentication",
            "  networks:\n  - cidr: 10.0.0.0/8\n    except: [11.0.0.0/16]\n",
            7,
            "does not lie inside `10.0.0.0/8`",
        ),
        ("NetworkAuthentication", "  networks:\n  - {cidr: 10.0.0.0/8, except: ['::1']}\n", 6, "does not lie inside"),
        ("NetworkAuthentication", "  networks:\n  - {cidr: 10.0.0.0/8, except: [x]}\n", 6, "`x` is not a network"),
        ("ServerAuthorization", "  server: {}\n  client: {unauthenticated: true}\n", 5, "exactly one of server.name"),
        ("ServerAuthorization", "  server: {name: a}\n  client: {}\n", 6, "either unauthenticated or has meshTLS"),
        (
            "ServerAuthorization",
            "  server: {name: a}\n  client: {unauthenticated: true, meshTLS: {unauthenticatedTLS: true}}\n",
            6,
            "either unauthenticated or has meshTLS",
        ),
        ("ServerAuthorization", "  server: {name: a}\n  client: {meshTLS: {}}\n", 6, "names nobody"),
        (
            "ServerAuthorization",
            '  server: {name: a}\n  client: {meshTLS: {unauthenticatedTLS: true, identities: ["*"]}}\n',
            6,
            "both unauthenticatedTLS and names",
        ),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(kind: str, spec: str, line: int, words: str) -> None:
    """Requirement: file, line, reason and hint; a rule about access that was mistyped is not in force."""
    found = problem(kind, spec)
    assert (found.file, found.line) == ("mesh.yaml", line)
    assert words in f"{found.reason} {found.hint}"


@pytest.mark.parametrize(
    "kind", ["AuthorizationPolicy", "MeshTLSAuthentication", "NetworkAuthentication", "ServerAuthorization"]
)
def test_a_version_that_nobody_has_defined_is_refused(kind: str) -> None:
    """Requirement: an unknown version is not read as if it were a known one."""
    specs = {
        "AuthorizationPolicy": TARGET + "  requiredAuthenticationRefs: []\n",
        "MeshTLSAuthentication": '  identities: ["*"]\n',
        "NetworkAuthentication": "  networks: [{cidr: '::/0'}]\n",
        "ServerAuthorization": "  server: {name: a}\n  client: {unauthenticated: true}\n",
    }
    assert (found := problem(kind, specs[kind], "v9")).line == 1
    assert "v1alpha1" in found.hint


ROUTE = """apiVersion: policy.linkerd.io/v1beta3
kind: HTTPRoute
metadata: {name: a, namespace: shop}
spec:
  parentRefs:
  - {kind: Server, name: web, PARENT}
"""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("port: 80", "takes no `port`"),
        ("sectionName: x", "takes no `sectionName`"),
        ("namespace: other", "stands in the namespace of its Server"),
    ],
)
def test_a_route_for_a_server_names_it_plainly(more: str, words: str) -> None:
    """Requirement: a Server is one port of one namespace already; what else a reference says is a mistake."""
    (found,) = load_text(ROUTE.replace("PARENT", more), "mesh.yaml").problems
    assert found.line == 6
    assert words in f"{found.reason} {found.hint}"
    assert load_text(ROUTE.replace(", PARENT", ""), "mesh.yaml").problems == ()
