"""How often workloads call each other."""

from weft.viz import callers
from weft.viz.ring import Growth
from weft.viz.samples import Series

WORKLOADS = {"default/web-0": ("default", "web", "", True), "default/web-1": ("default", "web", "", True)}


def answered(direction: str, **labels: str) -> Series:
    return Series("response_total", tuple(sorted({"direction": direction, **labels}.items())))


def test_calls_of_all_replicas_to_one_workload_are_added_up_per_second():
    """Requirement: one row per pair of workloads, whatever the replica and the outcome of a call."""
    called = {"dst_service": "stock", "dst_namespace": "shop"}
    good, bad = (answered("outbound", classification=outcome, **called) for outcome in ("success", "failure"))
    window = [
        Growth("default/web-0", 10.0, {good: 30.0, bad: 10.0}, {}),
        Growth("default/web-1", 10.0, {good: 20.0}, {}),
    ]
    assert callers.rows(window, WORKLOADS) == [
        {"src": "web", "dst": "stock", "src_namespace": "default", "dst_namespace": "shop", "rps": 6.0}
    ]


def test_what_is_not_a_call_to_a_workload_is_left_out():
    """Requirement: received requests, proxies that are gone and pairs without a call make no row."""
    called = {"dst_service": "stock", "dst_namespace": "shop"}
    window = [
        Growth("default/web-0", 10.0, {answered("inbound"): 5.0, answered("outbound", **called): 0.0}, {}),
        Growth("default/gone-0", 10.0, {answered("outbound", **called): 5.0}, {}),
    ]
    assert callers.rows(window, WORKLOADS) == []
