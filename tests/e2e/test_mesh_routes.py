"""Routes in a mesh: what matches, what filters do, who a route is for, what bad backends cost, and service profiles."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.applications import FILES, Python, ask, idle, text

from weft.testing import Mesh, wait_until

pytestmark = pytest.mark.e2e
GATEWAY = "gateway.networking.k8s.io/v1"
GRPC, HTTP = 8080, 8081
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "routes.md"
Asked = tuple[str, str, dict[str, str]]


def route(name: str, *rules: dict[str, Any], parent: str = "one", **more: Any) -> dict[str, Any]:
    """An HTTPRoute of the HTTP port of a Service in `default`."""
    kind, namespace = more.pop("kind", "HTTPRoute"), more.pop("namespace", "default")
    port = GRPC if kind == "GRPCRoute" else HTTP
    parents = [{"group": "", "kind": "Service", "name": parent, "namespace": "default", "port": port}]
    spec = {"parentRefs": parents, "rules": list(rules), **more}
    return {"apiVersion": GATEWAY, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def said(name: str, **rule: Any) -> dict[str, Any]:
    """A rule that says to the client which one it is, and to the server what it was asked for."""
    answer = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x-rule", "value": name}]}}
    request = {
        "set": [{"name": "x-asked", "value": name}],
        "remove": ["x-secret"],
        "add": [{"name": "x-more", "value": "2"}],
    }
    return {"filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": request}, answer], **rule}


def to(*shares: tuple[str, int], port: int = HTTP) -> list[dict[str, Any]]:
    return [{"name": name, "port": port, "weight": weight} for name, weight in shares]


def profile(name: str, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    about = {"name": f"{name}.default.svc.cluster.local", "namespace": namespace}
    return {"apiVersion": "linkerd.io/v1alpha2", "kind": "ServiceProfile", "metadata": about, "spec": spec}


def fixed(python: Python) -> list[dict[str, Any]]:
    shopper = idle("shopper")
    shopper["metadata"]["namespace"] = "shop"
    return [*(python.server(name) for name in ("one", "two", "three", "four")), idle("client"), shopper]


@pytest.fixture(scope="module")
def mesh(python: Python) -> Iterator[Mesh]:
    with Mesh(text(*fixed(python)), FILES, "routes") as mesh:
        yield mesh


def asked(mesh: Mesh, python: Python, *requests: Asked, host: str = "one", namespace: str = "") -> list[dict[str, Any]]:
    """What the client of a namespace is answered."""
    told = json.dumps([[*each, 0] for each in requests])
    where = ["-n", namespace, "shopper-0"] if namespace else ["client-0"]
    done = mesh.run("exec", *where, "--", *python.command("asks.py", host, HTTP, told))
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert isinstance(answers, list)
    return answers


def get(path: str = "/", **headers: str) -> Asked:
    return ("GET", path, {name.replace("_", "-"): value for name, value in headers.items()})


def in_force(
    mesh: Mesh, python: Python, documents: list[dict[str, Any]], probe: Asked, rule: str, host: str = "one"
) -> None:
    """Put documents in force, and wait until the client's proxy obeys them."""
    mesh.edit(text(*fixed(python), *documents))

    def so() -> bool:
        (answer,) = asked(mesh, python, probe, host=host)
        return answer["headers"].get("x-rule") == rule or str(answer["status"]) == rule

    wait_until(so, f"{rule} answers")


MATCHES = [
    said("exact", matches=[{"path": {"type": "Exact", "value": "/a"}}]),
    said("prefix", matches=[{"path": {"value": "/a"}}]),
    said("deeper", matches=[{"path": {"value": "/a/b"}}]),
    said("pattern", matches=[{"path": {"type": "RegularExpression", "value": "/items/[0-9]+"}}]),
    said("method", matches=[{"method": "DELETE"}]),
    said("header", matches=[{"headers": [{"name": "X-Kind", "value": "gold"}]}]),
    said("headers", matches=[{"headers": [{"name": "x-kind", "value": "gold"}, {"name": "x-age", "value": "1"}]}]),
    said("like", matches=[{"headers": [{"name": "x-kind", "type": "RegularExpression", "value": "sil.*"}]}]),
    said("query", matches=[{"queryParams": [{"name": "q", "value": "a b"}]}]),
    said("either", matches=[{"path": {"value": "/x"}}, {"path": {"value": "/y"}}]),
    said("rest"),
]


def test_the_most_specific_rule_takes_a_request(mesh: Mesh, python: Python) -> None:
    """Requirement: paths, methods, headers and queries, in the order of the Gateway API, through both proxies; header
    changes reach the server and the client.
    """
    in_force(mesh, python, [route("matches", *MATCHES)], get("/a"), "exact")
    table: list[tuple[Asked, str]] = [
        (get("/a"), "exact"),
        (get("/a?q=a+b", x_kind="gold"), "exact"),
        (get("/a/"), "prefix"),
        (get("/ab"), "rest"),
        (get("/a/b/c"), "deeper"),
        (get("/items/7"), "pattern"),
        (get("/items/7/8"), "rest"),
        (("DELETE", "/", {}), "method"),
        (("DELETE", "/a/c", {}), "prefix"),
        (get("/", x_kind="gold"), "header"),
        (get("/", x_kind="gold", x_age="1"), "headers"),
        (get("/", x_kind="silver"), "like"),
        (get("/", x_kind="goldfish"), "rest"),
        (get("/?q=a%20b"), "query"),
        (get("/?q=a"), "rest"),
        (get("/y/1"), "either"),
        (get("/", x_kind="silver", x_age="1"), "like"),
    ]
    answers = asked(mesh, python, *(request for request, _ in table))
    assert [each["headers"].get("x-rule") for each in answers] == [expected for _, expected in table]
    (answer,) = asked(mesh, python, get("/a", x_secret="1", x_asked="me", x_more="1"))
    headers = answer["body"]["headers"]
    assert (headers["x-asked"], "x-secret" in headers, answer["body"]["replica"]) == ("exact", False, "one-0")
    about = {"parent_name": "one", "route_kind": "HTTPRoute", "route_name": "matches"}
    assert mesh.counted("client-0", "outbound_http_route_request_statuses_total", about) > 0


def test_hosts_choose_among_routes(mesh: Mesh, python: Python) -> None:
    """Requirement: an exact host before a wildcard, a wildcard before none; a request that no route takes is 404."""
    path = {"matches": [{"path": {"value": "/only"}}]}
    documents = [
        route("exact", said("exact"), hostnames=["a.example.com"]),
        route("wild", said("wild"), hostnames=["*.example.com"]),
        route("any", said("any", **path)),
    ]
    in_force(mesh, python, documents, get("/only"), "any")
    requests = [get("/only", host=name) for name in ("a.example.com", "b.example.com", "example.com")]
    answers = asked(mesh, python, *requests, get("/other"))
    assert [each["headers"].get("x-rule") for each in answers] == ["exact", "wild", "any", None]
    assert (answers[3]["status"], answers[3]["headers"]["l5d-proxy-error"]) == (404, "no route matches the request")


def test_a_redirect_is_answered_by_the_clients_proxy(mesh: Mesh, python: Python) -> None:
    """Requirement: status and location as written; what is not written stays as it was asked for."""
    moved = {
        "scheme": "https",
        "hostname": "new.example.com",
        "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"},
    }
    rule = {
        "matches": [{"path": {"value": "/old"}}],
        "filters": [{"type": "RequestRedirect", "requestRedirect": {**moved, "statusCode": 301}}],
    }
    in_force(mesh, python, [route("moved", rule, said("rest"))], get("/old"), "301")
    (answer,) = asked(mesh, python, get("/old/books?x=1"))
    assert (answer["status"], answer["headers"]["location"]) == (301, "https://new.example.com/new/books?x=1")


def test_weights_are_shares_of_the_requests(mesh: Mesh, python: Python) -> None:
    """Requirement: 3 to 1 within the width of chance (five standard deviations), and nothing for weight 0."""
    documents = [route("split", said("split", backendRefs=to(("one", 3), ("two", 1), ("three", 0))))]
    in_force(mesh, python, documents, get(), "split")
    total = 240
    found = Counter(each["body"]["replica"] for each in asked(mesh, python, *[get()] * total))
    assert found.keys() == {"one-0", "two-0"}
    assert abs(found["two-0"] - total / 4) <= 5 * (total * 3 / 16) ** 0.5, found


def test_a_backend_that_does_not_exist_answers_its_share(mesh: Mesh, python: Python) -> None:
    """Requirement: its share is answered 500 with the reason, the others' is not touched; the status says which it is.

    The bug that this is for: every request to the Service was answered 500.
    """
    documents = [
        route("bad", said("bad", backendRefs=to(("one", 1), ("gone", 1)))),
        route("only", said("only", backendRefs=to(("one", 1), port=1)), parent="two"),
    ]
    in_force(mesh, python, documents, get(), "500")
    found = asked(mesh, python, *[get()] * 60)
    assert {each["status"] for each in found} == {200, 500}
    good = [each for each in found if each["status"] == 200]
    assert 10 < len(good) < 50
    assert {each["body"]["replica"] for each in good} == {"one-0"}
    assert {each["headers"]["l5d-proxy-error"] for each in found if each["status"] == 500} == {"Service not found gone"}
    (answer,) = asked(mesh, python, get(), host="two")
    assert (answer["status"], answer["headers"]["l5d-proxy-error"]) == (500, "Service one has no port 1")
    rows = mesh.run("get", "httproute").stdout
    assert [line.split()[-1] for line in rows.splitlines()] == ["STATUS", "BackendNotFound", "BackendNotFound"], rows
    status = json.loads(mesh.run("get", "httproute", "bad", "-o", "json").stdout)["status"]
    (parent,) = status["parents"]
    assert (parent["parentRef"]["name"], parent["parentRef"]["port"]) == ("one", HTTP)
    accepted, resolved = parent["conditions"]
    assert (accepted["type"], accepted["status"]) == ("Accepted", "True")
    assert (resolved["status"], resolved["reason"]) == ("False", "BackendNotFound")
    described = mesh.run("describe", "httproute", "bad").stdout
    assert "Service not found gone (spec.rules[0].backendRefs[1])" in described


def test_a_consumers_route_is_for_its_own_namespace(mesh: Mesh, python: Python) -> None:
    """Requirement: the client's namespace's route in place of the producer's, for its own clients and nobody else."""
    documents = [
        route("producer", said("producer")),
        route(
            "consumer",
            said("consumer", backendRefs=[{"name": "two", "namespace": "default", "port": HTTP}]),
            namespace="shop",
        ),
    ]
    in_force(mesh, python, documents, get(), "producer")
    name = "one.default"

    def consumed() -> bool:
        (answer,) = asked(mesh, python, get(), host=name, namespace="shop")
        return answer["headers"].get("x-rule") == "consumer"

    (mine,) = asked(mesh, python, get(), host=name)
    assert (mine["headers"]["x-rule"], mine["body"]["replica"]) == ("producer", "one-0")
    wait_until(consumed, "the consumer's route holds for its namespace")


def test_calls_are_matched_by_service_and_method(mesh: Mesh, python: Python) -> None:
    """Requirement: a GRPCRoute takes one method of one service elsewhere; the others go where they went."""
    documents = [
        route(
            "calls",
            {
                "matches": [{"method": {"service": "test.Echo", "method": "Unary"}}],
                "backendRefs": to(("two", 1), port=GRPC),
            },
            {"matches": [{"method": {"service": "test.Echo"}}]},
            kind="GRPCRoute",
            parent="three",
        )
    ]
    mesh.edit(text(*fixed(python), *documents))

    def replica() -> str:
        return str(ask(mesh, python, "client-0", "rpc.py", "unary", f"three:{GRPC}")["trailers"]["x-replica"])

    wait_until(lambda: replica() == "two-0", "the method goes elsewhere")
    assert ask(mesh, python, "client-0", "rpc.py", "server_stream", f"three:{GRPC}")["trailers"] == {"x-count": "5"}
    assert ask(mesh, python, "client-0", "rpc.py", "both_stream", f"three:{GRPC}")["answers"]
    assert mesh.counted("three-0", "request_total", {"direction": "inbound"}) >= 2


BROKEN = {"condition": {"pathRegex": "/test.Echo/FailFirst"}, "name": "fails first", "isRetryable": True}


def test_a_profile_retries_and_times_out(mesh: Mesh, python: Python) -> None:
    """Requirement: calls of a retryable route are made again until they succeed, with nothing but a budget as a limit;
    a route's timeout ends what takes longer; other calls are as they were.
    """
    slow = {"name": "waits", "condition": {"all": [{"method": "POST"}, {"pathRegex": ".*/Wait"}]}, "timeout": "300ms"}
    poor = {"retryRatio": 0, "minRetriesPerSecond": 0, "ttl": "10s"}
    profiles = [profile("four", routes=[BROKEN, slow]), profile("three", routes=[BROKEN, slow], retryBudget=poor)]
    mesh.edit(text(*fixed(python), *profiles))

    def call(method: str, request: str, server: str = "four") -> str:
        return str(ask(mesh, python, "client-0", "rpc.py", "once", f"{server}:{GRPC}", method, request)["code"])

    wait_until(lambda: call("Wait", "") == "DEADLINE_EXCEEDED", "the timeout holds")
    assert call("FailFirst", "mine") == "OK"
    assert call("Fail", "x") == "ABORTED"
    wait_until(lambda: call("Wait", "", "three") == "DEADLINE_EXCEEDED", "the other profile holds")
    assert call("FailFirst", "poor", "three") == "UNAVAILABLE", "there was no budget"
    about = {"route_kind": "ServiceProfile", "route_name": "four.default.svc.cluster.local"}
    about |= {"route_section_name": "fails first"}
    assert mesh.counted("client-0", "outbound_http_route_retry_requests_total", about) == 2


def test_a_profile_splits_and_goes_before_routes(mesh: Mesh, python: Python) -> None:
    """Requirement: dstOverrides take requests elsewhere, in place of HTTPRoutes; the client's namespace's profile goes
    before the Service's; answers count as failures as the profile says; the route that is passed over says so.
    """
    failing = [{"condition": {"status": {"min": 200, "max": 299}}, "isFailure": True}]
    routes = [{"name": "bad", "condition": {"pathRegex": "/bad"}, "responseClasses": failing}]
    split = [{"authority": f"two.default.svc.cluster.local:{HTTP}", "weight": 1}]
    other = [{"authority": f"three.default.svc.cluster.local:{HTTP}", "weight": 1}]
    documents = [
        route("passed-over", said("route")),
        profile("one", routes=routes, dstOverrides=split),
        profile("one", "shop", dstOverrides=other),
    ]
    mesh.edit(text(*fixed(python), *documents))

    def answered_by(namespace: str) -> str:
        (answer,) = asked(mesh, python, get(), host="one.default", namespace=namespace)
        return str(answer["body"]["replica"])

    wait_until(lambda: answered_by("") == "two-0", "the split holds")
    wait_until(lambda: answered_by("shop") == "three-0", "the client's own profile holds")
    failed = {"direction": "outbound", "classification": "failure", "status_code": "200"}
    before = mesh.counted("client-0", "response_total", failed)
    (answer,) = asked(mesh, python, get("/bad"))
    assert (answer["status"], answer["body"]["replica"], "x-rule" in answer["headers"]) == (200, "two-0", False)
    wait_until(lambda: mesh.counted("client-0", "response_total", failed) == before + 1, "it counts as a failure")
    row = mesh.run("get", "httproute", "passed-over").stdout.splitlines()[1]
    assert row.split()[-1] == "RouteReasonConflicted"
    described = mesh.run("describe", "httproute", "passed-over").stdout
    assert "ServiceProfile/default/one.default.svc.cluster.local (" in described
    assert "serviceprofile.linkerd.io/one.default.svc.cluster.local" in mesh.run("describe", "svc", "one").stdout


def pages(python: Python, name: str) -> dict[str, Any]:
    """A plain HTTP server on the port that the page about routes uses."""
    workload = python.server(name)
    command = [python.program, "-m", "http.server", "8080"]
    return workload | {
        "spec": {"command": command, "ports": [{"port": 8080}], "readiness": {"tcpSocket": {"port": 8080}}}
    }


def test_the_page_about_routes_holds(mesh: Mesh, python: Python) -> None:
    """Requirement: the documents of docs/reference/routes.md are good and are obeyed; its commands work."""
    page = PAGE.read_text()
    documents = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    servers = [pages(python, name) for name in ("web", "web-next")]
    mesh.edit(text(*fixed(python), *servers, *documents))

    def redirected() -> bool:
        answer = ask(mesh, python, "client-0", "raw.py", "status", "web", 8080, "/old")
        return answer["status"] == 302 and answer["headers"]["location"] == "http://web:8080/new"

    wait_until(lambda: mesh.replicas().get("web-0", {}).get("ready"), "the server of the page is ready")
    wait_until(redirected, "the route of the page is obeyed")
    commands = re.findall(r"^\$ weft (.*?)(?: +#.*)?$", page, re.MULTILINE)
    assert len(commands) > 3
    for line in commands:
        verb, *arguments = line.split()
        done = mesh.run(verb, *arguments)
        assert done.returncode == 0, (line, done.stderr)
    rows = mesh.run("get", "all").stdout.splitlines()
    states = {row.split()[1]: row.split()[-1] for row in rows if "httproute" in row or "serviceprofile" in row}
    assert set(states.values()) == {"Accepted"}, states
