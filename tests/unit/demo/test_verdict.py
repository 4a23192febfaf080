"""What the demo's figures say: spread, identities, the failing method and the eager client."""

import pytest

from weft.demo import verdict
from weft.demo.verdict import Balance, Caller, Edge, Method, Replica

REPLICAS = ["prices-0", "prices-1", "prices-2"]


def counted(*calls: int, failed: int = 0) -> Balance:
    return Balance(3000, 8, failed, 1.0, {name: n for name, n in zip(REPLICAS, calls, strict=True) if n})


def edge(src: str, dst: str, **changes: object) -> Edge:
    return Edge(**{"src": src, "dst": dst, "client_id": src, "server_id": dst, "secured": True, **changes})


def test_the_newest_count_is_found_among_other_lines():
    """Requirement: the count is read from the load generator's output, whatever stands around it."""
    count = '{"event": "balance", "calls": 2, "concurrency": 1, "failed": 0, "replicas": {"a": 2}, "seconds": 1}'
    assert verdict.balance("weft: started\n" + count + "\n" + '{"event": "load"}\n') == Balance(2, 1, 0, 1, {"a": 2})
    assert verdict.balance("weft: started\n") is None


def test_before_one_replica_has_all():
    """Requirement: without the mesh one connection means one replica; anything else is reported."""
    assert verdict.wrong_before(counted(0, 3000, 0), REPLICAS) == []
    assert verdict.wrong_before(counted(1500, 1500, 0), REPLICAS)
    assert verdict.wrong_before(counted(0, 2990, 0, failed=10), REPLICAS) == ["10 of 3000 calls failed"]


@pytest.mark.parametrize(
    ("calls", "sound"),
    [((1000, 1000, 1000), True), ((1140, 1000, 860), True), ((1200, 1000, 800), False), ((0, 0, 3000), False)],
)
def test_after_each_replica_has_its_share_within_five_points(calls, sound):
    """Requirement: with the mesh each of three replicas takes 33 % ± 5."""
    assert (verdict.wrong_after(counted(*calls), REPLICAS) == []) is sound


def test_every_pair_that_talks_must_be_mutual_tls_with_both_names():
    """Requirement: a missing pair, a plain one and one without identity are each reported."""
    edges = [edge(*pair) for pair in verdict.TALKS]
    assert verdict.wrong_edges(edges) == []
    assert verdict.wrong_edges(edges[1:]) == ["loadgen to orders is not seen as mutual TLS"]
    assert verdict.wrong_edges([edge("loadgen", "orders", secured=False), *edges[1:]])
    assert verdict.wrong_edges([edge("loadgen", "orders", client_id=""), *edges[1:]])


def test_pairs_with_a_workload_that_is_left_out_are_not_expected():
    """Requirement: a missing language is no fault."""
    edges = [edge(*pair) for pair in verdict.TALKS if "stock" not in pair]
    assert verdict.wrong_edges(edges, left_out=["stock"]) == []


METHODS = [
    Method("prices-quote", 1.0, 230.0, 4.0),
    Method("prices-discount", 0.9, 10.0, 5.0),
    Method("orders-place", None, None, None),
]
CALLERS = [Caller("poller", "prices", 200.0), Caller("loadgen", "prices", 10.0), Caller("web", "stock", 2.0)]


def test_the_faulty_method_and_the_eager_client_stand_out():
    """Requirement: the tables point to prices-discount and to the poller."""
    assert [m.route for m in verdict.failing(METHODS)] == ["prices-discount"]
    assert verdict.too_often(CALLERS) == (CALLERS[0], 20.0)
    assert verdict.wrong_findings(METHODS, CALLERS) == []


def test_a_mesh_that_shows_neither_is_reported():
    """Requirement: the demo fails when what it exists to show is not seen."""
    assert len(verdict.wrong_findings(METHODS[:1], CALLERS[1:])) == 2


def test_clients_that_call_about_as_often_as_each_other_do_not_stand_out():
    """Requirement: only a client far ahead of the next one is pointed out; the only client of a service is not."""
    assert verdict.too_often([Caller("a", "prices", 20.0), Caller("b", "prices", 10.0)]) is None
    assert verdict.too_often([Caller("a", "prices", 20.0)]) is None


def test_failures_on_one_replica_of_several_name_that_replica():
    """Requirement: the demo says which replica fails, and only when it is one among sound siblings."""
    method = METHODS[1]
    sound, faulty, other = Replica("prices-0", 1.0), Replica("prices-2", 0.98), Replica("orders-0", 0.9)
    assert verdict.culprit(method, [sound, faulty, other]) == "prices-2"
    assert verdict.culprit(method, [faulty, other]) is None
    assert verdict.culprit(method, [Replica("prices-0", 0.99), faulty]) is None
