"""What `weft stat` and `weft edges` make of proxies' metrics."""

import math

import pytest

from weft.viz import authz, edges, routes, stat
from weft.viz.latency import percentile
from weft.viz.ring import SPAN, Ring
from weft.viz.samples import Series, parse

VOTING_ID = "voting.default.serviceaccount.identity.weft.cluster.local"
WEB_ID = "web.default.serviceaccount.identity.weft.cluster.local"
WORKLOADS = {
    "default/web-0": ("default", "web", WEB_ID, True),
    "default/voting-0": ("default", "voting", VOTING_ID, True),
    "default/voting-1": ("default", "voting", VOTING_ID, True),
    "default/cron-0": ("default", "cron", "", False),
}


def inbound(success: int, failure: int) -> str:
    common = f'direction="inbound",target_port="8080",tls="true",client_id="{WEB_ID}"'
    return f"""# HELP response_total Total count of HTTP responses.
response_total{{{common},classification="success"}} {success}
response_total{{{common},classification="failure"}} {failure}
response_total{{direction="inbound",target_port="4191",classification="success"}} 999
response_latency_ms_bucket{{{common},le="1"}} {success // 2}
response_latency_ms_bucket{{{common},le="10"}} {success + failure}
response_latency_ms_bucket{{{common},le="+Inf"}} {success + failure}
tcp_open_connections{{direction="inbound",peer="src",target_port="8080",tls="true"}} 2
other_metric 7
"""


OUTBOUND = f"""
response_total{{direction="outbound",tls="true",server_id="{VOTING_ID}",dst_namespace="default",dst_pod="voting-1"}} 5
response_total{{direction="outbound",tls="no_identity",dst_namespace="default",dst_service="legacy"}} 1
"""


def filled() -> Ring:
    ring = Ring()
    for moment, factor in ((100.0, 0), (110.0, 1)):
        ring.add("default/voting-0", moment, parse(inbound(60 * factor, 40 * factor)))
        ring.add("default/voting-1", moment, parse(inbound(100 * factor, 0)))
        ring.add("default/web-0", moment, parse(OUTBOUND if factor else ""))
    return ring


def test_labels_are_read_with_their_escapes() -> None:
    """Requirement: quotes, backslashes and commas inside label values are kept; other families are not."""
    samples = parse('response_total{a="x,\\"y\\"",b="\\\\"} 3\nother{a="b"} 1\n')
    assert samples == {Series("response_total", (("a", 'x,"y"'), ("b", "\\"))): 3.0}


def test_stat_sums_the_replicas_of_a_workload() -> None:
    """Requirement: success and rate from inbound responses, not the proxy's own ports; open connections as they are."""
    rows = {row["name"]: row for row in stat.rows(filled().window(110.0, 60.0), WORKLOADS)}
    voting = rows["voting"]
    assert voting["meshed"] == "2/2"
    assert voting["success"] == pytest.approx(0.8)
    assert voting["rps"] == pytest.approx(20.0)
    assert voting["tcp_connections"] == 4
    assert 1.0 < float(str(voting["latency_p95_ms"])) <= 10.0
    assert rows["cron"]["meshed"] == "0/1"
    assert rows["cron"]["success"] is None


def test_edges_join_both_sides() -> None:
    """Requirement: the server's identity as the client saw it, the client's as the server saw it."""
    assert edges.rows(filled().window(110.0, 60.0), WORKLOADS) == [
        {
            "src": "web",
            "dst": "legacy",
            "src_namespace": "default",
            "dst_namespace": "default",
            "secured": False,
            "client_id": "",
            "server_id": "",
        },
        {
            "src": "web",
            "dst": "voting",
            "src_namespace": "default",
            "dst_namespace": "default",
            "secured": True,
            "client_id": WEB_ID,
            "server_id": VOTING_ID,
        },
    ]


def test_routes_count_errors_and_bad_statuses_as_failures() -> None:
    """Requirement: per route, HTTP 5xx, the server's gRPC codes and errors fail; the rest succeeds."""
    ring = Ring()
    common = 'parent_namespace="default",parent_name="voting",route_kind="GRPCRoute",route_name="vote"'
    family = "outbound_grpc_route_request_statuses_total"
    text = "\n".join(
        f'{family}{{{common},grpc_status="{status}",error="{error}"}} {count}'
        for status, error, count in (("OK", "", 6), ("NOT_FOUND", "", 1), ("UNAVAILABLE", "", 2), ("", "FAIL_FAST", 1))
    )
    ring.add("default/web-0", 9.0, parse(text))
    (row,) = routes.rows(ring.window(10.0, 60.0))
    assert (row["service"], row["route"], row["success"]) == ("voting", "vote", pytest.approx(0.7))


def test_each_grant_has_what_came_in_by_it() -> None:
    """Requirement: requests of a grant on the port, of one on a route, and of one that no document makes have a row
    each, with their own rate, success and latency; what was refused has a row without a grant. Other replicas do not
    count.
    """
    about = 'direction="inbound",target_port="8080",srv_kind="server",srv_name="api"'
    on_port = f'{about},route_name="default",authz_kind="authorizationpolicy",authz_name="web"'
    on_route = f'{about},route_name="items",authz_kind="authorizationpolicy",authz_name="web"'
    probe = f'{about},route_name="probe",authz_kind="default",authz_name="probe"'
    refused = 'target_port="8080",srv_kind="server",srv_name="api",route_name="default"'
    undeclared = 'target_port="8081",srv_kind="default",srv_name="deny"'
    text = f"""response_total{{{on_port},client_id="a",classification="success"}} 30
response_total{{{on_port},client_id="b",classification="failure"}} 10
response_latency_ms_bucket{{{on_port},client_id="a",le="10"}} 40
response_latency_ms_bucket{{{on_port},client_id="a",le="+Inf"}} 40
response_total{{{on_route},classification="success"}} 20
response_total{{{probe},classification="success"}} 5
response_total{{direction="inbound",target_port="4191",srv_name="x",authz_name="y"}} 9
inbound_http_authz_deny_total{{{refused},client_id="c"}} 7
inbound_tcp_authz_deny_total{{{undeclared}}} 3
"""
    ring = Ring()
    for moment, sample in ((0.0, ""), (10.0, text)):
        ring.add("default/api-0", moment, parse(sample))
        ring.add("default/other-0", moment, parse(sample))
    measured = authz.rows(ring.window(10.0, 10.0), {"default/api-0"})
    none = {"authorization_policy": "", "server_authorization": "", "default": ""}
    web = none | {"authorization_policy": "web", "server": "api"}
    unused = none | {"server": "api", "server_authorization": "old"}
    grants = [{"route": "*", **web}, {"route": "items", **web}, {"route": "*", **unused}]
    found = {
        (row["route"], row["server"], row["authorization_policy"] or row["server_authorization"] or row["default"]): (
            row["rps"],
            row["success"],
            row["unauthorized_rps"],
        )
        for row in authz.joined(grants, measured)
    }
    assert found == {
        ("*", "api", "web"): (4.0, 0.75, None),
        ("items", "api", "web"): (2.0, 1.0, None),
        ("*", "api", "old"): (None, None, None),
        ("default", "api", ""): (None, None, pytest.approx(0.7)),
        ("default", "default:deny", ""): (None, None, pytest.approx(0.3)),
        ("probe", "api", "probe"): (0.5, 1.0, None),
    }
    assert authz.joined(grants, measured)[0]["latency_p50_ms"] == pytest.approx(5.0)


def test_a_counter_that_fell_started_again() -> None:
    """Requirement: a restarted proxy neither loses nor invents requests."""
    ring = Ring()
    for moment, value in ((0.0, 50), (10.0, 60), (12.0, 3)):
        ring.add("a", moment, parse(f'response_total{{direction="inbound"}} {value}'))
    (growth,) = ring.window(12.0, 5.0)
    assert list(growth.grown.values()) == [13.0]


def test_the_ring_forgets_what_is_gone() -> None:
    """Requirement: a source that was not read for ten minutes takes no memory."""
    ring = Ring()
    ring.add("gone", 0.0, {})
    ring.add("here", SPAN + 1, {})
    assert [growth.source for growth in ring.window(SPAN + 1, SPAN * 2)] == ["here"]


@pytest.mark.parametrize(
    ("buckets", "rank", "expected"),
    [
        ({}, 0.5, None),
        ({1.0: 0.0, math.inf: 0.0}, 0.5, None),
        ({1.0: 10.0, 2.0: 20.0, math.inf: 20.0}, 0.5, 1.0),
        ({1.0: 10.0, 2.0: 20.0, math.inf: 20.0}, 0.75, 1.5),
        ({1.0: 1.0, math.inf: 10.0}, 0.99, 1.0),
    ],
)
def test_percentiles(buckets: dict[float, float], rank: float, expected: float | None) -> None:
    """Requirement: linear inside a bucket, never beyond the last finite bound, nothing without counts."""
    assert percentile(buckets, rank) == expected
