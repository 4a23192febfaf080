"""Who may reach what: documents, clients and requests, with the verdicts that the rules demand.

The verdicts are written by hand from the rules of the resource kinds, not from what any code answers. `python -m
tests.policy_vectors` makes `tests/vectors/policy.json` of them, which Python and Rust read alike.

A row is what it shows, the client, where it comes from, the request (empty: a connection of bytes), and the verdict:
`allow NAME`, `allow NAME on ROUTE`, `audit`, `deny WHY (RULE)` with WHY one of anonymous, identity, network, nobody,
or `no route (RULE)`.
"""

from dataclasses import dataclass

from tests.meshes import pod

Row = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Scenario:
    """Documents, and rows about port `port` of `api-0`, a pod with an HTTP probe on `GET /healthz` of 8080."""

    documents: tuple[str, ...]
    rows: tuple[Row, ...]
    port: int = 8080
    spiffe: bool = False
    """Whether the mesh knows workloads by SPIFFE URIs."""


POLICY, GATEWAY = "policy.linkerd.io", "gateway.networking.k8s.io"
DEFAULT = "config.linkerd.io/default-inbound-policy"
CLUSTER_IP, OUTSIDE, PROBER = "10.9.9.9", "203.0.113.7", "10.0.0.254"


def api(**annotations: str) -> str:
    """The pod that is asked, with annotations (`_` for `-`)."""
    keys = {"policy": DEFAULT, "opaque": "config.linkerd.io/opaque-ports", "identity": IDENTITY_PORTS}
    return pod(
        "api-0",
        "10.0.0.1",
        app="api",
        annotations=", ".join(f"{keys[name]}: '{value}'" for name, value in annotations.items()),
    )


IDENTITY_PORTS = "config.linkerd.io/proxy-require-identity-inbound-ports"


def document(kind: str, name: str, spec: str, group: str = POLICY, version: str = "v1alpha1", more: str = "") -> str:
    """One document in namespace `default`."""
    return f"apiVersion: {group}/{version}\nkind: {kind}\nmetadata: {{name: {name}{more}}}\nspec: {{{spec}}}\n"


def server(name: str = "api", more: str = "", spec: str = "", port: str = "8080") -> str:
    """A Server about the pod's port."""
    chosen = f"podSelector: {{matchLabels: {{app: api}}}}, port: {port}{spec and ', '}{spec}"
    return document("Server", name, chosen, version="v1beta3", more=more)


def policy(name: str, target: str, *required: str) -> str:
    """An AuthorizationPolicy; `target` is KIND/NAME, a required one KIND/NAME or KIND/NAMESPACE/NAME."""
    kind, which = target.split("/")
    group = {"Namespace": '""', "GatewayRoute": GATEWAY}.get(kind, POLICY)
    kind = {"GatewayRoute": "HTTPRoute", "CallRoute": "GRPCRoute"}.get(kind, kind)
    group = GATEWAY if kind == "GRPCRoute" else group
    refs = []
    for each in required:
        kind_, *place, own = each.split("/")
        where = f", namespace: {place[0]}" if place else ""
        refs.append(f"{{group: {'core' if kind_ == 'ServiceAccount' else POLICY}, kind: {kind_}, name: {own}{where}}}")
    spec = (
        f"targetRef: {{group: {group}, kind: {kind}, name: {which}}}, requiredAuthenticationRefs: [{', '.join(refs)}]"
    )
    return document("AuthorizationPolicy", name, spec)


def mesh_tls(name: str, spec: str) -> str:
    """A MeshTLSAuthentication."""
    return document("MeshTLSAuthentication", name, spec)


def network(name: str, *networks: str) -> str:
    """A NetworkAuthentication."""
    return document("NetworkAuthentication", name, f"networks: [{', '.join(networks)}]")


def grant(name: str, client: str, chosen: str = "name: api") -> str:
    """A ServerAuthorization."""
    return document("ServerAuthorization", name, f"server: {{{chosen}}}, client: {{{client}}}", version="v1beta1")


def route(name: str, rules: str, kind: str = "HTTPRoute", group: str = POLICY, hosts: str = "", more: str = "") -> str:
    """A route for the Server `api`."""
    version = "v1beta3" if group == POLICY else "v1"
    parents = f"parentRefs: [{{group: {POLICY}, kind: Server, name: api}}]"
    return document(kind, name, f"{parents}{hosts and ', '}{hosts}, rules: [{rules}]", group, version, more)


WEB = "MeshTLSAuthentication/web"
ONLY_WEB = mesh_tls("web", "identities: [web.default.serviceaccount.identity.weft.cluster.local]")
OPEN = (
    ("everybody comes in", "-", OUTSIDE, "GET /", "allow all-unauthenticated on default"),
    ("so does IPv6", "-", "2001:db8::1", "GET /", "allow all-unauthenticated on default"),
    ("so does an identity", "web", CLUSTER_IP, "GET /", "allow all-unauthenticated on default"),
)
ON = "on default"

SCENARIOS = (
    Scenario((api(),), OPEN),
    Scenario((api(policy="all-unauthenticated"),), OPEN),
    Scenario((api(policy="nonsense"),), OPEN),
    Scenario(
        (api(policy="all-authenticated"),),
        (
            ("plaintext is refused", "-", CLUSTER_IP, "GET /", "deny anonymous (default policy all-authenticated)"),
            ("TLS alone is refused", "tls", CLUSTER_IP, "GET /", "deny anonymous (default policy all-authenticated)"),
            ("any identity comes in", "cron", OUTSIDE, "GET /", f"allow all-authenticated {ON}"),
            ("SPIFFE is an identity", "spiffe://d/x", OUTSIDE, "GET /", f"allow all-authenticated {ON}"),
            ("a probe needs no identity", "-", PROBER, "GET /healthz", "allow probe on probe"),
            ("nor does it from outside", "-", OUTSIDE, "GET /healthz", "allow probe on probe"),
            ("a probe is a GET", "-", PROBER, "POST /healthz", "deny anonymous (default policy all-authenticated)"),
            ("of its very path", "-", PROBER, "GET /healthz/x", "deny anonymous (default policy all-authenticated)"),
            ("with any query", "-", PROBER, "GET /healthz?a=b", "allow probe on probe"),
            ("bytes need an identity", "-", PROBER, "", "deny anonymous (default policy all-authenticated)"),
            ("bytes with one pass", "web", PROBER, "", "allow all-authenticated"),
        ),
    ),
    Scenario(
        (api(policy="all-authenticated"),),
        (
            (
                "a probe is for its port",
                "-",
                PROBER,
                "GET /healthz",
                "deny anonymous (default policy all-authenticated)",
            ),
        ),
        port=8081,
    ),
    Scenario(
        (api(policy="cluster-unauthenticated"),),
        (
            ("the cluster comes in", "-", CLUSTER_IP, "GET /", f"allow cluster-unauthenticated {ON}"),
            ("by IPv6 too", "-", "fd00::7", "GET /", f"allow cluster-unauthenticated {ON}"),
            ("by mapped IPv4 too", "-", "::ffff:10.9.9.9", "GET /", f"allow cluster-unauthenticated {ON}"),
            ("outside does not", "-", OUTSIDE, "GET /", "deny network (default policy cluster-unauthenticated)"),
            ("though identified", "web", OUTSIDE, "GET /", "deny network (default policy cluster-unauthenticated)"),
            ("nor IPv6 outside", "-", "2001:db8::1", "GET /", "deny network (default policy cluster-unauthenticated)"),
        ),
    ),
    Scenario(
        (api(policy="cluster-authenticated"),),
        (
            ("both are asked for", "web", CLUSTER_IP, "GET /", f"allow cluster-authenticated {ON}"),
            ("identity lacks", "-", CLUSTER_IP, "GET /", "deny anonymous (default policy cluster-authenticated)"),
            ("network lacks", "web", OUTSIDE, "GET /", "deny network (default policy cluster-authenticated)"),
            ("both lack", "-", OUTSIDE, "GET /", "deny network (default policy cluster-authenticated)"),
        ),
    ),
    Scenario(
        (api(policy="deny"),),
        (
            ("nobody comes in", "web", CLUSTER_IP, "GET /", "deny nobody (default policy deny)"),
            ("not in plaintext", "-", CLUSTER_IP, "GET /", "deny nobody (default policy deny)"),
            ("not as bytes", "web", CLUSTER_IP, "", "deny nobody (default policy deny)"),
            ("but a probe does", "-", PROBER, "GET /healthz", "allow probe on probe"),
        ),
    ),
    Scenario(
        (api(policy="audit"),),
        (
            ("all come in, noted", "-", OUTSIDE, "GET /", "audit on default"),
            ("bytes too", "-", OUTSIDE, "", "audit"),
            ("a probe is not noted", "-", OUTSIDE, "GET /healthz", "allow probe on probe"),
        ),
    ),
    Scenario(
        (api(), f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: default, annotations: {{{DEFAULT}: deny}}}}"),
        (("the namespace's default", "web", CLUSTER_IP, "GET /", "deny nobody (default policy deny)"),),
    ),
    Scenario(
        (
            api(policy="all-unauthenticated"),
            f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: default, annotations: {{{DEFAULT}: deny}}}}",
        ),
        (("the pod's is nearer", "-", OUTSIDE, "GET /", f"allow all-unauthenticated {ON}"),),
    ),
    Scenario(
        (api(identity="8080,9000-9010"),),
        (
            ("the port asks for one", "-", CLUSTER_IP, "GET /", "deny anonymous (default policy all-unauthenticated)"),
            ("and gets it", "web", CLUSTER_IP, "GET /", f"allow all-unauthenticated {ON}"),
        ),
    ),
    Scenario(
        (api(policy="all-authenticated", opaque="8080"),),
        (
            ("opaque needs one too", "-", CLUSTER_IP, "", "deny anonymous (default policy all-authenticated)"),
            ("no probe in bytes", "-", PROBER, "GET /healthz", "deny anonymous (default policy all-authenticated)"),
            ("an identity passes", "web", CLUSTER_IP, "", "allow all-authenticated"),
        ),
    ),
    Scenario(
        (api(), server()),
        (
            ("a Server shuts its port", "web", CLUSTER_IP, "GET /", "deny nobody (server api)"),
            ("for bytes too", "web", CLUSTER_IP, "", "deny nobody (server api)"),
            ("not for probes", "-", PROBER, "GET /healthz", "allow probe on probe"),
        ),
    ),
    Scenario(
        (api(policy="deny"), server()),
        (("another port keeps its default", "web", CLUSTER_IP, "GET /", "deny nobody (default policy deny)"),),
        port=9090,
    ),
    Scenario(
        (api(policy="deny"), server(spec="accessPolicy: all-unauthenticated", port="http")),
        (("by a port's name", "-", OUTSIDE, "GET /", f"allow all-unauthenticated {ON}"),),
    ),
    Scenario(
        (api(), server(spec="accessPolicy: cluster-authenticated")),
        (
            ("accessPolicy grants", "cron", CLUSTER_IP, "GET /", f"allow cluster-authenticated {ON}"),
            ("no more than it says", "-", CLUSTER_IP, "GET /", "deny anonymous (server api)"),
            ("to the cluster", "cron", OUTSIDE, "GET /", "deny network (server api)"),
        ),
    ),
    Scenario(
        (api(), server(), document("Server", "other", "podSelector: {matchLabels: {app: db}}, port: 8080")),
        (("another pod's Server", "web", CLUSTER_IP, "GET /", "deny nobody (server api)"),),
    ),
    Scenario(
        (api(), server("b", spec="accessPolicy: all-unauthenticated"), server("a")),
        (("of two the first by name", "web", CLUSTER_IP, "GET /", "deny nobody (server a)"),),
    ),
    Scenario(
        (
            api(),
            server("b", ", creationTimestamp: '2026-01-01T00:00:00Z'", "accessPolicy: all-unauthenticated"),
            server("a", ", creationTimestamp: '2026-02-01T00:00:00Z'"),
        ),
        (("of two the older", "-", OUTSIDE, "GET /", f"allow all-unauthenticated {ON}"),),
    ),
    Scenario(
        (
            api(),
            server("b", ", creationTimestamp: '2026-01-01T00:00:00Z'"),
            server("a", ", creationTimestamp: '2026-02-01T00:00:00Z'"),
            policy("open", "Server/a"),
        ),
        (("a skipped Server's policy", "web", CLUSTER_IP, "GET /", "deny nobody (server b)"),),
    ),
    Scenario(
        (api(), server(), policy("web-only", "Server/api", WEB), ONLY_WEB),
        (
            ("the named one", "web", CLUSTER_IP, "GET /", f"allow web-only {ON}"),
            ("from anywhere", "web", OUTSIDE, "GET /", f"allow web-only {ON}"),
            ("by bytes", "web", CLUSTER_IP, "", "allow web-only"),
            ("not another", "cron", CLUSTER_IP, "GET /", "deny identity (server api)"),
            ("not its namesake", "infra/web", CLUSTER_IP, "GET /", "deny identity (server api)"),
            ("nor TLS alone", "tls", CLUSTER_IP, "GET /", "deny anonymous (server api)"),
            ("nor plaintext", "-", CLUSTER_IP, "GET /", "deny anonymous (server api)"),
            ("nor bytes of another", "cron", CLUSTER_IP, "", "deny identity (server api)"),
            ("a probe still does", "-", PROBER, "GET /healthz", "allow probe on probe"),
        ),
    ),
    Scenario(
        (api(), server(), policy("none", "Server/api")),
        (
            ("nothing required: all", "-", OUTSIDE, "GET /", f"allow none {ON}"),
            ("identified or not", "web", OUTSIDE, "", "allow none"),
        ),
    ),
    Scenario(
        (api(), server(), policy("gone", "Server/api", WEB)),
        (("what is missing grants nothing", "web", CLUSTER_IP, "GET /", "deny nobody (server api)"),),
    ),
    Scenario(
        (api(), server(), policy("gone", "Server/api", WEB), policy("cron", "Server/api", "ServiceAccount/cron")),
        (
            ("the other policy stands", "cron", CLUSTER_IP, "GET /", f"allow cron {ON}"),
            ("alone", "web", CLUSTER_IP, "GET /", "deny identity (server api)"),
        ),
    ),
    Scenario(
        (api(), server(), policy("half", "Server/api", WEB, "NetworkAuthentication/n"), ONLY_WEB),
        (("one of two missing", "web", CLUSTER_IP, "GET /", "deny nobody (server api)"),),
    ),
    Scenario(
        (
            api(),
            server(),
            policy("both", "Server/api", WEB, "NetworkAuthentication/n"),
            ONLY_WEB,
            network("n", "{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}", "{cidr: 192.0.2.5}"),
        ),
        (
            ("both hold", "web", CLUSTER_IP, "GET /", f"allow both {ON}"),
            ("a single address", "web", "192.0.2.5", "GET /", f"allow both {ON}"),
            ("its neighbour", "web", "192.0.2.6", "GET /", "deny network (server api)"),
            ("the exception", "web", "10.1.2.3", "GET /", "deny network (server api)"),
            ("beside the exception", "web", "10.2.2.3", "GET /", f"allow both {ON}"),
            ("identity lacks", "cron", CLUSTER_IP, "GET /", "deny identity (server api)"),
            ("mapped", "web", "::ffff:10.2.2.3", "GET /", f"allow both {ON}"),
            ("mapped exception", "web", "::ffff:10.1.2.3", "GET /", "deny network (server api)"),
        ),
    ),
    Scenario(
        (
            api(),
            server(),
            policy("net", "Server/api", "NetworkAuthentication/n"),
            network("n", "{cidr: 'fd00::/8', except: ['fd00:1::/32']}"),
        ),
        (
            ("a network alone asks for no TLS", "-", "fd00::1", "GET /", f"allow net {ON}"),
            ("except", "-", "fd00:1::1", "GET /", "deny network (server api)"),
            ("IPv4 is not in it", "-", CLUSTER_IP, "GET /", "deny network (server api)"),
        ),
    ),
    Scenario(
        (
            api(),
            server(),
            policy("a", "Server/api", WEB),
            policy("b", "Server/api", "NetworkAuthentication/n"),
            ONLY_WEB,
            network("n", "{cidr: 192.0.2.0/24}"),
        ),
        (
            ("two policies are alternatives", "web", CLUSTER_IP, "GET /", f"allow a {ON}"),
            ("either is enough", "-", "192.0.2.9", "GET /", f"allow b {ON}"),
            ("neither", "-", CLUSTER_IP, "GET /", "deny anonymous (server api)"),
            ("neither, by name", "cron", CLUSTER_IP, "GET /", "deny identity (server api)"),
        ),
    ),
    Scenario(
        (api(), server(), policy("p", "Server/api", "MeshTLSAuthentication/m"), mesh_tls("m", 'identities: ["*"]')),
        (
            ("a star is every identity", "infra/x", OUTSIDE, "GET /", f"allow p {ON}"),
            ("SPIFFE too", "spiffe://d/x", OUTSIDE, "GET /", f"allow p {ON}"),
            ("not nobody", "tls", OUTSIDE, "GET /", "deny anonymous (server api)"),
        ),
    ),
    Scenario(
        (
            api(),
            server(),
            policy("p", "Server/api", "MeshTLSAuthentication/m"),
            mesh_tls("m", 'identities: ["*.infra.serviceaccount.identity.weft.cluster.local", "spiffe://d/web"]'),
        ),
        (
            ("a suffix of labels", "infra/prom", OUTSIDE, "GET /", f"allow p {ON}"),
            ("another namespace", "web", OUTSIDE, "GET /", "deny identity (server api)"),
            ("a URI whole", "spiffe://d/web", OUTSIDE, "GET /", f"allow p {ON}"),
            ("a longer URI", "spiffe://d/web2", OUTSIDE, "GET /", "deny identity (server api)"),
            (
                "a label's end is no suffix",
                "a.xinfra.serviceaccount.identity.weft.cluster.local",
                OUTSIDE,
                "GET /",
                "deny identity (server api)",
            ),
            (
                "the bare suffix",
                "infra.serviceaccount.identity.weft.cluster.local",
                OUTSIDE,
                "GET /",
                "deny identity (server api)",
            ),
            (
                "no suffix of a URI",
                "spiffe://x/a.infra.serviceaccount.identity.weft.cluster.local",
                OUTSIDE,
                "GET /",
                "deny identity (server api)",
            ),
            (
                "other trust domain",
                "a.infra.serviceaccount.identity.weft.other",
                OUTSIDE,
                "GET /",
                "deny identity (server api)",
            ),
        ),
    ),
    Scenario(
        (
            api(),
            server(),
            policy("p", "Server/api", "MeshTLSAuthentication/m"),
            mesh_tls(
                "m",
                "identityRefs: [{kind: ServiceAccount, name: web}, {kind: ServiceAccount, name: a, namespace: infra},"
                " {kind: Namespace, name: batch}]",
            ),
        ),
        (
            ("an account of its own namespace", "web", CLUSTER_IP, "GET /", f"allow p {ON}"),
            ("of another", "infra/a", CLUSTER_IP, "GET /", f"allow p {ON}"),
            ("not its neighbour", "infra/b", CLUSTER_IP, "GET /", "deny identity (server api)"),
            ("a whole namespace", "batch/anything", CLUSTER_IP, "GET /", f"allow p {ON}"),
            ("not the own", "cron", CLUSTER_IP, "GET /", "deny identity (server api)"),
        ),
    ),
    Scenario(
        (api(), server(), policy("p", "Server/api", "ServiceAccount/infra/web")),
        (
            ("an account is enough", "infra/web", CLUSTER_IP, "GET /", f"allow p {ON}"),
            ("of that namespace", "web", CLUSTER_IP, "GET /", "deny identity (server api)"),
        ),
    ),
    Scenario(
        (api(), server(), policy("ns", "Namespace/default", WEB), ONLY_WEB),
        (
            ("a policy for the namespace", "web", CLUSTER_IP, "GET /", f"allow ns {ON}"),
            ("is no more than it says", "cron", CLUSTER_IP, "GET /", "deny identity (server api)"),
        ),
    ),
    Scenario(
        (api(policy="deny"), policy("ns", "Namespace/default", WEB), ONLY_WEB),
        (("it is for Servers only", "web", CLUSTER_IP, "GET /", "deny nobody (default policy deny)"),),
    ),
    Scenario(
        (api(), server(), policy("other", "Server/other")),
        (("a policy for another Server", "web", CLUSTER_IP, "GET /", "deny nobody (server api)"),),
    ),
    Scenario(
        (api(), server(spec="accessPolicy: audit"), policy("web-only", "Server/api", WEB), ONLY_WEB),
        (
            ("audit comes last", "web", CLUSTER_IP, "GET /", f"allow web-only {ON}"),
            ("and lets the rest in, noted", "cron", CLUSTER_IP, "GET /", "audit on default"),
            ("plaintext too", "-", OUTSIDE, "GET /", "audit on default"),
            ("bytes too", "-", OUTSIDE, "", "audit"),
        ),
    ),
    Scenario(
        (api(), server(), grant("s", "unauthenticated: true")),
        (("the older kind: anybody", "-", OUTSIDE, "GET /", f"allow s {ON}"),),
    ),
    Scenario(
        (api(), server(), grant("s", "unauthenticated: true, networks: [{cidr: 10.0.0.0/8, except: [10.9.0.0/16]}]")),
        (
            ("in networks", "-", "10.8.0.1", "GET /", f"allow s {ON}"),
            ("not in exceptions", "-", CLUSTER_IP, "GET /", "deny network (server api)"),
        ),
    ),
    Scenario(
        (api(), server(), grant("s", "meshTLS: {unauthenticatedTLS: true}")),
        (
            ("TLS is enough", "tls", OUTSIDE, "GET /", f"allow s {ON}"),
            ("an identity all the more", "web", OUTSIDE, "GET /", f"allow s {ON}"),
            ("plaintext is not", "-", OUTSIDE, "GET /", "deny anonymous (server api)"),
        ),
    ),
    Scenario(
        (
            api(),
            server(),
            grant(
                "s",
                'meshTLS: {identities: ["*.batch.serviceaccount.identity.weft.cluster.local"],'
                " serviceAccounts: [{name: web}, {name: a, namespace: infra}]}",
            ),
        ),
        (
            ("a suffix", "batch/x", OUTSIDE, "GET /", f"allow s {ON}"),
            ("an account", "web", OUTSIDE, "GET /", f"allow s {ON}"),
            ("of a namespace", "infra/a", OUTSIDE, "GET /", f"allow s {ON}"),
            ("no other", "cron", OUTSIDE, "GET /", "deny identity (server api)"),
            ("nor nobody", "tls", OUTSIDE, "GET /", "deny anonymous (server api)"),
        ),
    ),
    Scenario(
        (
            api(),
            server(more=", labels: {tier: front}"),
            grant("s", "unauthenticated: true", "selector: {matchLabels: {tier: front}}"),
        ),
        (("a Server by its labels", "-", OUTSIDE, "GET /", f"allow s {ON}"),),
    ),
    Scenario(
        (
            api(),
            server(more=", labels: {tier: back}"),
            grant("s", "unauthenticated: true", "selector: {matchLabels: {tier: front}}"),
            grant("t", "unauthenticated: true", "name: other"),
        ),
        (("not by others", "-", OUTSIDE, "GET /", "deny nobody (server api)"),),
    ),
    Scenario(
        (
            api(),
            server(),
            route("read", "{matches: [{path: {value: /items}, method: GET}]}"),
            route("write", "{matches: [{path: {value: /items}, method: POST}, {path: {value: /items}, method: PUT}]}"),
            policy("readers", "HTTPRoute/read", "MeshTLSAuthentication/all"),
            policy("writers", "HTTPRoute/write", WEB),
            mesh_tls("all", 'identities: ["*"]'),
            ONLY_WEB,
        ),
        (
            ("a route's own grant", "cron", OUTSIDE, "GET /items", "allow readers on read"),
            ("below its path", "cron", OUTSIDE, "GET /items/7?a=b", "allow readers on read"),
            ("not beside it", "cron", OUTSIDE, "GET /items7", "no route (server api)"),
            ("the other route", "web", OUTSIDE, "POST /items", "allow writers on write"),
            ("by its second match", "web", OUTSIDE, "PUT /items/7", "allow writers on write"),
            ("for its clients only", "cron", OUTSIDE, "POST /items", "deny identity (server api, HTTPRoute write)"),
            ("no identity", "-", OUTSIDE, "GET /items", "deny anonymous (server api, HTTPRoute read)"),
            ("no route at all", "web", OUTSIDE, "DELETE /items", "no route (server api)"),
            ("nor elsewhere", "web", OUTSIDE, "GET /", "no route (server api)"),
            ("probes still pass", "-", PROBER, "GET /healthz", "allow probe on probe"),
            ("bytes have no route", "web", OUTSIDE, "", "deny nobody (server api)"),
        ),
    ),
    Scenario(
        (
            api(),
            server(),
            route("all", "{}"),
            route("admin", "{matches: [{path: {value: /admin}}]}"),
            policy("port", "Server/api", "ServiceAccount/cron"),
            policy("admins", "HTTPRoute/admin", WEB),
            ONLY_WEB,
        ),
        (
            ("the port's grant on a route", "cron", OUTSIDE, "GET /x", "allow port on all"),
            ("holds on every route", "cron", OUTSIDE, "GET /admin", "allow port on admin"),
            ("a route's does not spread", "web", OUTSIDE, "GET /x", "deny identity (server api)"),
            ("its own", "web", OUTSIDE, "GET /admin/x", "allow admins on admin"),
            ("the longer path wins", "infra/x", OUTSIDE, "GET /admin", "deny identity (server api, HTTPRoute admin)"),
            ("bytes by the port's", "cron", OUTSIDE, "", "allow port"),
            ("not by a route's", "web", OUTSIDE, "", "deny identity (server api)"),
        ),
    ),
    Scenario(
        (
            api(),
            server(),
            route("exact", "{matches: [{path: {type: Exact, value: /a}}]}"),
            route("prefix", "{matches: [{path: {value: /a}}]}"),
            route("regex", "{matches: [{path: {type: RegularExpression, value: '/a/[0-9]+'}}]}"),
            route("headed", "{matches: [{path: {value: /a}, headers: [{name: X-Team, value: blue}]}]}"),
            route("asked", "{matches: [{path: {value: /a}, queryParams: [{name: v, value: '2'}]}]}"),
            policy("e", "HTTPRoute/exact"),
            policy("p", "HTTPRoute/prefix"),
            policy("r", "HTTPRoute/regex"),
            policy("h", "HTTPRoute/headed"),
            policy("q", "HTTPRoute/asked"),
        ),
        (
            ("exact before prefix", "-", OUTSIDE, "GET /a", "allow e on exact"),
            ("prefix", "-", OUTSIDE, "GET /a/b", "allow p on prefix"),
            ("a pattern is as long as its match", "-", OUTSIDE, "GET /a/12", "allow r on regex"),
            ("of the whole path", "-", OUTSIDE, "GET /a/12/b", "allow p on prefix"),
            ("more headers win", "-", OUTSIDE, "GET /a/b x-team=blue", "allow h on headed"),
            ("other headers do not", "-", OUTSIDE, "GET /a/b x-team=red", "allow p on prefix"),
            ("query parameters win", "-", OUTSIDE, "GET /a/b?v=2", "allow q on asked"),
            ("headers before query", "-", OUTSIDE, "GET /a/b?v=2 x-team=blue", "allow h on headed"),
            ("other queries do not", "-", OUTSIDE, "GET /a/b?v=3", "allow p on prefix"),
        ),
    ),
    Scenario(
        (
            api(),
            server(),
            route("host", "{}", hosts="hostnames: [api.example]"),
            route("wide", "{}", hosts='hostnames: ["*.example"]'),
            policy("h", "HTTPRoute/host"),
            policy("w", "HTTPRoute/wide"),
        ),
        (
            ("a whole host", "-", OUTSIDE, "GET / host=api.example", "allow h on host"),
            ("with a port, any case", "-", OUTSIDE, "GET / host=API.example:8080", "allow h on host"),
            ("a wildcard", "-", OUTSIDE, "GET / host=web.example", "allow w on wide"),
            ("not the bare suffix", "-", OUTSIDE, "GET / host=example", "no route (server api)"),
            ("another host", "-", OUTSIDE, "GET / host=api.other", "no route (server api)"),
        ),
    ),
    Scenario(
        (
            api(),
            server(),
            route("b", "{}", more=", creationTimestamp: '2026-01-01T00:00:00Z'"),
            route("a", "{}", more=", creationTimestamp: '2026-02-01T00:00:00Z'"),
            policy("b", "HTTPRoute/b"),
        ),
        (("of equal routes the older", "-", OUTSIDE, "GET /", "allow b on b"),),
    ),
    Scenario(
        (api(), server(), route("b", "{}"), route("a", "{}"), policy("b", "HTTPRoute/b")),
        (("then the first by name", "-", OUTSIDE, "GET /", "deny nobody (server api)"),),
    ),
    Scenario(
        (
            api(),
            server(),
            route("own", "{matches: [{path: {type: Exact, value: /healthz}, method: GET}]}"),
            policy("own", "HTTPRoute/own", WEB),
            ONLY_WEB,
        ),
        (
            (
                "a route for the probe's path decides",
                "-",
                PROBER,
                "GET /healthz",
                "deny anonymous (server api, HTTPRoute own)",
            ),
            ("and lets its own clients in", "web", PROBER, "GET /healthz", "allow own on own"),
        ),
    ),
    Scenario(
        (
            api(),
            server(),
            route("g", "{}", group=GATEWAY),
            policy("here", "GatewayRoute/g"),
            policy("not-this", "HTTPRoute/g", WEB),
            ONLY_WEB,
        ),
        (("either group's routes attach", "-", OUTSIDE, "GET /", "allow here on g"),),
    ),
    Scenario(
        (
            api(),
            server(spec="proxyProtocol: gRPC"),
            route("calls", "{matches: [{method: {service: shop.Orders, method: List}}]}", "GRPCRoute", GATEWAY),
            route("any", "{matches: [{method: {service: shop.Admin}}]}", "GRPCRoute", GATEWAY),
            policy("list", "CallRoute/calls", "MeshTLSAuthentication/all"),
            policy("admin", "CallRoute/any", WEB),
            mesh_tls("all", 'identities: ["*"]'),
            ONLY_WEB,
        ),
        (
            ("a call", "cron", OUTSIDE, "POST /shop.Orders/List", "allow list on calls"),
            ("another method", "cron", OUTSIDE, "POST /shop.Orders/Buy", "no route (server api)"),
            ("all methods of a service", "web", OUTSIDE, "POST /shop.Admin/Anything", "allow admin on any"),
            ("for its clients", "cron", OUTSIDE, "POST /shop.Admin/X", "deny identity (server api, GRPCRoute any)"),
        ),
    ),
    Scenario(
        (
            api(),
            server(),
            route("calls", "{matches: [{method: {service: shop.Orders, method: List}}]}", "GRPCRoute", GATEWAY),
            route("page", "{matches: [{path: {value: /page}}]}"),
            policy("list", "CallRoute/calls"),
            policy("page", "HTTPRoute/page"),
        ),
        (
            ("calls where HTTP is told", "-", OUTSIDE, "POST /shop.Orders/List", "allow list on calls"),
            ("are POSTs", "-", OUTSIDE, "GET /shop.Orders/List", "no route (server api)"),
            ("beside pages", "-", OUTSIDE, "GET /page/1", "allow page on page"),
        ),
    ),
    Scenario(
        (
            api(),
            server(spec="proxyProtocol: gRPC"),
            route("calls", "{matches: [{method: {method: List}}]}", "GRPCRoute", GATEWAY),
            route("page", "{matches: [{path: {value: /page}}]}"),
            policy("list", "CallRoute/calls"),
            policy("page", "HTTPRoute/page"),
        ),
        (
            ("both kinds on a gRPC port", "-", OUTSIDE, "POST /any.Service/List", "allow list on calls"),
            ("neither is dropped", "-", OUTSIDE, "GET /page", "allow page on page"),
            ("a method is a whole word", "-", OUTSIDE, "POST /any.Service/ListAll", "no route (server api)"),
        ),
    ),
    Scenario(
        (api(), server(spec="proxyProtocol: gRPC"), policy("web-only", "Server/api", WEB), ONLY_WEB),
        (
            ("gRPC without routes", "web", OUTSIDE, "POST /a.B/C", f"allow web-only {ON}"),
            ("refuses others", "cron", OUTSIDE, "POST /a.B/C", "deny identity (server api)"),
        ),
    ),
    Scenario(
        (
            api(),
            server(spec="proxyProtocol: opaque"),
            route("all", "{}"),
            policy("all", "HTTPRoute/all"),
            policy("web-only", "Server/api", WEB),
            ONLY_WEB,
        ),
        (
            ("an opaque port has no routes", "-", OUTSIDE, "", "deny anonymous (server api)"),
            ("only its own grants", "web", OUTSIDE, "", "allow web-only"),
        ),
    ),
    Scenario(
        (
            api(),
            server(spec="proxyProtocol: TLS"),
            policy("net", "Server/api", "NetworkAuthentication/n"),
            network("n", "{cidr: 10.0.0.0/8}"),
        ),
        (
            ("the application's own TLS", "-", CLUSTER_IP, "", "allow net"),
            ("from its networks", "-", OUTSIDE, "", "deny network (server api)"),
        ),
    ),
    Scenario(
        (
            api(),
            server(),
            policy("p", "Server/api", "MeshTLSAuthentication/m"),
            mesh_tls(
                "m",
                "identityRefs: [{kind: ServiceAccount, name: web}, {kind: ServiceAccount, name: a, namespace: infra},"
                " {kind: Namespace, name: batch}]",
            ),
            pod("job-0", "10.0.7.1", app="job", namespace="batch"),
            pod("job-1", "10.0.7.2", app="job", namespace="batch"),
            pod("plain-0", "10.0.7.3", app="plain", namespace="batch", meshed=""),
        ),
        (
            ("by URI, an account of its own namespace", "web", CLUSTER_IP, "GET /", f"allow p {ON}"),
            ("by URI, of another", "infra/a", CLUSTER_IP, "GET /", f"allow p {ON}"),
            ("by URI, not its neighbour", "infra/b", CLUSTER_IP, "GET /", "deny identity (server api)"),
            ("by URI, who is in a namespace", "batch/job", CLUSTER_IP, "GET /", f"allow p {ON}"),
            ("by URI, nobody who is not", "batch/anything", CLUSTER_IP, "GET /", "deny identity (server api)"),
            ("by URI, not without a proxy", "batch/plain", CLUSTER_IP, "GET /", "deny identity (server api)"),
            ("by URI, not the own", "cron", CLUSTER_IP, "GET /", "deny identity (server api)"),
            (
                "the same account of another trust domain",
                "spiffe://other/ns/default/sa/web",
                CLUSTER_IP,
                "GET /",
                "deny identity (server api)",
            ),
            (
                "the name behind the URI is not who it is",
                "web.default.serviceaccount.identity.weft.cluster.local",
                CLUSTER_IP,
                "GET /",
                "deny identity (server api)",
            ),
        ),
        spiffe=True,
    ),
    Scenario(
        (
            api(),
            server(),
            policy("p", "Server/api", "MeshTLSAuthentication/m"),
            mesh_tls("m", "identityRefs: [{kind: Namespace, name: empty}]"),
        ),
        (
            ("where nobody is, nobody is meant", "empty/web", CLUSTER_IP, "GET /", "deny identity (server api)"),
            ("by TLS alone neither", "tls", CLUSTER_IP, "GET /", "deny anonymous (server api)"),
        ),
        spiffe=True,
    ),
    Scenario(
        (api(), server(), policy("p", "Server/api", "ServiceAccount/infra/web")),
        (
            ("a URI's account is enough", "infra/web", CLUSTER_IP, "GET /", f"allow p {ON}"),
            ("a URI of that namespace", "web", CLUSTER_IP, "GET /", "deny identity (server api)"),
        ),
        spiffe=True,
    ),
    Scenario(
        (api(), server(), grant("g", "meshTLS: {serviceAccounts: [{name: web}, {name: a, namespace: infra}]}")),
        (
            ("accounts of a ServerAuthorization by URI", "web", CLUSTER_IP, "GET /", f"allow g {ON}"),
            ("of another namespace", "infra/a", CLUSTER_IP, "GET /", f"allow g {ON}"),
            ("and nobody else", "infra/web", CLUSTER_IP, "GET /", "deny identity (server api)"),
        ),
        spiffe=True,
    ),
    Scenario(
        (api(policy="all-authenticated"),),
        (
            ("every URI is a mesh identity", "web", OUTSIDE, "GET /", f"allow all-authenticated {ON}"),
            ("TLS alone is none", "tls", OUTSIDE, "GET /", "deny anonymous (default policy all-authenticated)"),
        ),
        spiffe=True,
    ),
)
