"""Where requests go: documents, and what must become of requests to `web` in them. Written from the rules.

`python -m tests.route_vectors` makes `tests/vectors/routes.json` of them: Python compiles the documents to what a proxy
is sent, Rust reads that and routes each row. A row is a requirement, the request (method, path, headers as name=value;
`~` and a number from 0 to 1 for chance), and what comes of it: ROUTE and the name that it sends to, `redirect`, a
status with its reason, or `404`.
"""

from dataclasses import dataclass

from weft.compile.answer import Address

Row = tuple[str, str, str]
WEB, NEXT, FAR = ("web.default:80", "next.default:80", "far.shop:80")


def service(name: str, ip: str, namespace: str = "default", extra: str = "") -> str:
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}{extra}}}
spec: {{clusterIP: {ip}, selector: {{app: {name}}}, ports: [{{port: 80, name: http}}, {{port: 81, name: admin}}]}}
"""


SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{spec}, ports: [{{port: 80}}]}}"
SERVICES = (
    service("web", "198.19.0.1"),
    service("next", "198.19.0.2"),
    service("far", "198.19.0.3", "shop"),
    SERVICE.format(name="out", spec="type: ExternalName, externalName: example.com"),
    SERVICE.format(name="bare", spec="clusterIP: None, selector: {app: x}"),
)


def route(name: str, rules: str, *, kind: str = "HTTPRoute", parent: str = "", spec: str = "", about: str = "") -> str:
    """A route of `web`; `about` is more of its metadata, `parent` of its parentRef."""
    group = "policy.linkerd.io/v1beta3" if kind == "policy" else "gateway.networking.k8s.io/v1"
    kind = "HTTPRoute" if kind == "policy" else kind
    return f"""
apiVersion: {group}
kind: {kind}
metadata: {{name: {name}{about}}}
spec:
  parentRefs: [{{group: '', kind: Service, name: web, namespace: default{parent}}}]
  {spec}
  rules: [{rules}]
"""


def profile(spec: str, about: str = "") -> str:
    return f"""
apiVersion: linkerd.io/v1alpha2
kind: ServiceProfile
metadata: {{name: web.default.svc.cluster.local{about}}}
spec: {{{spec}}}
"""


WEB_ADDRESS = Address("198.19.0.1", 80)


@dataclass(frozen=True, slots=True)
class Scenario:
    """`asker` is the client's namespace."""

    documents: tuple[str, ...]
    rows: tuple[Row, ...]
    asker: str = "default"
    target: Address = WEB_ADDRESS


def path(value: str, kind: str = "PathPrefix", more: str = "") -> str:
    return f"{{matches: [{{path: {{type: {kind}, value: '{value}'}}{more}}}]}}"


SCENARIOS = (
    Scenario((), (("a Service without routes", "GET /", f"http {WEB}"),)),
    Scenario(
        (
            route("all", "{}"),
            route("api", path("/api")),
            route("deep", path("/api/v1/")),
            route("exact", path("/api/v1/x", "Exact")),
            route("post", path("/api", more=", method: POST")),
            route("one", path("/api", more=", headers: [{name: A, value: '1'}]")),
            route("two", path("/api", more=", headers: [{name: a, value: '1'}, {name: b, value: '2'}]")),
            route("query", path("/api", more=", queryParams: [{name: q, value: 'x y'}]")),
            route("items", path("/items/[0-9]+", "RegularExpression")),
            route("like", "{matches: [{headers: [{name: kind, type: RegularExpression, value: 'gold|sil'}]}]}"),
            route("asked", "{matches: [{queryParams: [{name: n, type: RegularExpression, value: '[0-9]+'}]}]}"),
        ),
        (
            ("what no rule names goes to the one that names nothing", "GET /", f"all {WEB}"),
            ("a prefix is of whole segments", "GET /apix", f"all {WEB}"),
            ("a prefix is the path itself, too", "GET /api", f"api {WEB}"),
            ("a prefix may end with a slash", "GET /api/v1", f"deep {WEB}"),
            ("the longest prefix", "GET /api/v1/y", f"deep {WEB}"),
            ("an exact path before everything", "POST /api/v1/x a=1 b=2", f"exact {WEB}"),
            ("an exact path has no slash more", "GET /api/v1/x/", f"deep {WEB}"),
            ("a longer path before a method", "POST /api/v1", f"deep {WEB}"),
            ("a method before headers", "POST /api a=1 b=2", f"post {WEB}"),
            ("more headers before fewer", "GET /api?q=x+y a=1 b=2", f"two {WEB}"),
            ("headers before queries", "GET /api?q=x+y a=1", f"one {WEB}"),
            ("a query is decoded", "GET /api?q=x%20y", f"query {WEB}"),
            ("a header is compared whole", "GET /api a=11", f"api {WEB}"),
            ("a pattern is of the whole path", "GET /items/7", f"items {WEB}"),
            ("and of no part of it", "GET /items/7/8", f"all {WEB}"),
            ("a pattern of a header with alternatives is whole", "GET / kind=silver", f"all {WEB}"),
            ("one of them", "GET / kind=gold", f"like {WEB}"),
            ("a pattern of a query", "GET /?n=12", f"asked {WEB}"),
        ),
    ),
    Scenario(
        (
            route("any", path("/x")),
            route("wide", path("/x"), spec="hostnames: ['*.example.com']"),
            route("narrow", "{}", spec="hostnames: ['*.a.example.com']"),
            route("name", "{}", spec="hostnames: [B.a.example.com, other.org]"),
        ),
        (
            ("a route without hosts is for all", "GET /x host=web", f"any {WEB}"),
            ("a wildcard is of what stands before it", "GET /x host=example.com", f"any {WEB}"),
            ("a wildcard before none", "GET /x host=c.example.com:8080", f"wide {WEB}"),
            ("the longer wildcard, whatever the path says", "GET /x host=c.a.example.com", f"narrow {WEB}"),
            ("a name before wildcards, in any case", "GET /x host=b.A.example.com.", f"name {WEB}"),
            ("one of several names", "GET / host=other.org", f"name {WEB}"),
            ("none", "GET / host=web", "404"),
        ),
    ),
    Scenario(
        (
            route("b", "{}"),
            route("a", "{}", kind="policy"),
            route("c", path("/old"), about=", creationTimestamp: '2020-01-01T00:00:00Z'"),
            route("d", path("/old"), about=", creationTimestamp: '2019-01-01T00:00:00Z'"),
            route(
                "e",
                f"{path('/twice')}, {path('/twice').removesuffix('}')}, backendRefs: [{{name: next, port: 80}}]}}",
            ),
        ),
        (
            ("of equal routes the first by name, whatever the group", "GET /", f"a {WEB}"),
            ("the older one before", "GET /old", f"d {WEB}"),
            ("of equal rules the first", "GET /twice", f"e {WEB}"),
        ),
    ),
    Scenario(
        (route("port", "{}", parent=", port: 81"), route("section", "{}", parent=", sectionName: http")),
        (("a port's name limits a route to it", "GET /", f"section {WEB}"),),
    ),
    Scenario(
        (route("port", "{}", parent=", port: 81"), route("section", "{}", parent=", sectionName: http")),
        (("a port limits a route to it", "GET /", "port web.default:81"),),
        target=Address("198.19.0.1", 81),
    ),
    *(
        Scenario(
            (route("producer", "{}"), route("consumer", path("/x"), about=", namespace: shop")),
            ((words, "GET /x", came), ("and what it does not take", "GET /", rest)),
            asker=asker,
        )
        for asker, words, came, rest in (
            ("shop", "the client's own route", f"consumer {WEB}", "404"),
            ("default", "the Service's for its own namespace", f"producer {WEB}", f"producer {WEB}"),
            ("other", "the Service's for everybody else", f"producer {WEB}", f"producer {WEB}"),
        )
    ),
    Scenario(
        (
            route(
                "split",
                "{backendRefs: [{name: web, port: 80, weight: 6}, {name: next, port: 80, weight: 3}, "
                "{name: gone, port: 80, weight: 1}, {name: far, namespace: shop, port: 80, weight: 0}]}",
            ),
            route("far", "{matches: [{path: {value: /far}}], backendRefs: [{name: far, namespace: shop, port: 80}]}"),
            route("bare", "{matches: [{path: {value: /bare}}], backendRefs: [{name: bare, port: 9000}]}"),
            route("none", "{matches: [{path: {value: /none}}], backendRefs: []}"),
        ),
        (
            ("the first share begins at nothing", "GET / ~0", f"split {WEB}"),
            ("and ends at its weight", "GET / ~0.599", f"split {WEB}"),
            ("the next begins there", "GET / ~0.601", f"split {NEXT}"),
            ("and ends at its own", "GET / ~0.899", f"split {NEXT}"),
            ("one that does not exist keeps its share", "GET / ~0.901", "500 Service not found gone"),
            ("to the end; weight 0 has none", "GET / ~0.9999", "500 Service not found gone"),
            ("another namespace needs no grant", "GET /far", f"far {FAR}"),
            ("a headless Service has every port", "GET /bare", "bare bare.default:9000"),
            ("an empty list is no list", "GET /none", f"none {WEB}"),
        ),
    ),
    *(
        Scenario((route("r", f"{{backendRefs: [{backend}]}}"),), ((words, "GET /", f"500 {reason}"),))
        for words, backend, reason in (
            ("no Service", "{name: gone, port: 80}", "Service not found gone"),
            ("no such port", "{name: web, port: 99}", "Service web has no port 99"),
            ("another kind", "{name: b, kind: Bucket, group: x}", "backend kind Bucket is not supported"),
            ("a name that leads out", "{name: out, port: 80}", "Service out is an ExternalName"),
            (
                "a filter unknown",
                "{name: web, port: 80, filters: [{type: CORS}]}",
                "unsupported filter CORS on backend web",
            ),
            ("no weight at all", "{name: web, port: 80, weight: 0}", "no backend has a weight"),
        )
    ),
    Scenario(
        (
            route(
                "host", "{filters: [{type: RequestRedirect, requestRedirect: {hostname: new.org, statusCode: 301}}]}"
            ),
            route(
                "prefix",
                "{matches: [{path: {value: /old}}], filters: [{type: RequestRedirect, requestRedirect: "
                "{scheme: https, port: 8443, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]}",
            ),
            route("rewrite", "{matches: [{path: {value: /rewrite}}], filters: [{type: URLRewrite}]}"),
        ),
        (
            ("a redirect", "GET /a?b=c host=web", "redirect 301 http://new.org/a?b=c"),
            ("of a prefix", "GET /old/x host=web", "redirect 302 https://web:8443/new/x"),
            ("a filter unknown is not passed over", "GET /rewrite", "500 unsupported filter URLRewrite"),
        ),
    ),
    Scenario(
        (
            route("service", "{matches: [{method: {service: pkg.S}}]}", kind="GRPCRoute"),
            route("method", "{matches: [{method: {service: pkg.S, method: Get}}]}", kind="GRPCRoute"),
            route("named", "{matches: [{method: {method: List}}]}", kind="GRPCRoute"),
            route(
                "header",
                "{matches: [{method: {service: pkg.S}, headers: [{name: a, value: '1'}]}], "
                "backendRefs: [{name: gone, port: 80}]}",
                kind="GRPCRoute",
            ),
            route("http", "{}"),
        ),
        (
            ("a service", "POST /pkg.S/Other", f"service {WEB}"),
            ("a method before a service", "POST /pkg.S/Get a=1", f"method {WEB}"),
            ("a method of any service", "POST /pkg.T/List", f"named {WEB}"),
            ("HTTPRoutes do not count beside GRPCRoutes", "POST /pkg.T/Get", "404"),
            ("a bad backend of a call", "POST /pkg.S/Other a=1", "500 Service not found gone"),
        ),
    ),
    Scenario(
        (
            route("passed-over", "{}"),
            profile(
                "routes: [{name: get, condition: {method: GET, pathRegex: '/a.*'}}, {name: any, condition: "
                "{any: [{pathRegex: /b}, {not: {pathRegex: '/[abc].*'}}]}}], "
                "dstOverrides: [{authority: 'next.default.svc.cluster.local:80', weight: 500m}, "
                "{authority: 'web.default.svc.cluster.local:80', weight: 1}]"
            ),
        ),
        (
            ("a profile in place of routes", "GET /a", f"get {NEXT}"),
            ("all fields of a condition", "POST /a", f"http {NEXT}"),
            ("one of any", "POST /b", f"any {NEXT}"),
            ("the opposite", "POST /d", f"any {NEXT}"),
            ("what no condition takes", "POST /c", f"http {NEXT}"),
            ("the first share is a third", "GET /a ~0.33", f"get {NEXT}"),
            ("the second the rest", "GET /a ~0.34", f"get {WEB}"),
        ),
    ),
    *(
        Scenario(
            (
                profile("routes: [{name: own, condition: {pathRegex: '.*'}}]"),
                profile("routes: [{name: mine, condition: {pathRegex: '.*'}}]", ", namespace: shop"),
            ),
            ((words, "GET /", f"{name} {WEB}"),),
            asker=asker,
        )
        for asker, words, name in (
            ("shop", "the client's profile first", "mine"),
            ("other", "the Service's for everybody else", "own"),
        )
    ),
)
