"""Turns the running mesh's tables into the values that the demo judges. Asks; decides nothing."""

from weft.demo.running import Mesh
from weft.demo.verdict import Caller, Edge, Method, Replica

# The supervisor reads every proxy this often.
SAMPLE_SECONDS = 2


def edges(mesh: Mesh, window: int) -> list[Edge]:
    """Who talks to whom."""
    return [
        Edge(row["src"], row["dst"], row["client_id"], row["server_id"], row["secured"])
        for row in mesh.rows("edges", window)
        if row["src_namespace"] == row["dst_namespace"] == "default"
    ]


def findings(mesh: Mesh, window: int) -> tuple[list[Method], list[Caller], list[Replica]]:
    """Each method's success, each client's rate, and each replica's success."""
    methods = [
        Method(row["route"], row["success"], row["rps"], row["latency_p99_ms"])
        for row in mesh.rows("routes", window)
        if row["kind"] == "GRPCRoute"
    ]
    callers = [
        Caller(row["src"], row["dst"], row["rps"])
        for row in mesh.rows("callers", window)
        if row["dst_namespace"] == "default"
    ]
    replicas = [
        Replica(row["name"], row["success"])
        for row in mesh.rows("stat", window, by="replica")
        if row["namespace"] == "default"
    ]
    return methods, callers, replicas
