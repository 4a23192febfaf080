"""The other proxies' programs: which there are, where they are, what they carry and how they are started."""

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from bench import configurations, processes
from bench.backends import LOAD
from bench.configurations import Way
from bench.mesh import Mesh
from bench.pair import Program
from bench.scenario import Route, Tuning
from weft.local.programs import find_program

ALL: Sequence[Route] = ("http1", "grpc", "stream", "tcp", "hop")


def found() -> Mapping[str, Program | None]:
    """By name; None for what is not installed."""
    haproxy, envoy, nginx = path("haproxy"), path("envoy"), path("nginx")
    return {
        "haproxy": Program("haproxy", ALL, partial(_haproxy, haproxy)) if haproxy else None,
        "envoy": Program("envoy", ALL, partial(_envoy, envoy)) if envoy else None,
        # It speaks no HTTP/2 to servers that are not gRPC's: there is no pair of it.
        "nginx": Program("nginx", ("hop",), partial(_nginx, nginx)) if nginx else None,
        "floor": Program("floor", ("http1", "tcp"), _floor, kinds=("bulk",)),
    }


def path(name: str) -> str | None:
    """The path of a peer's program. Envoy's is where `scripts/bench-peers` put it, which WEFT_BENCH_ENVOY names."""
    named = os.environ.get(f"WEFT_BENCH_{name.upper()}", "")
    if named and os.access(named, os.X_OK):
        return named
    return find_program(name)


def _haproxy(program: str, ways: Sequence[Way], mesh: Mesh, tuning: Tuning) -> list[list[str]]:
    most = processes.connections()
    outbound = configurations.haproxy_outbound(ways, mesh.peer_backend_address, mesh.directory, tuning, most)
    inbound = configurations.haproxy_inbound(ways, mesh.directory, tuning, most)
    return [[program, "-db", "-q", "-f", file] for file in _written(mesh, "haproxy", outbound, inbound)]


def _envoy(program: str, ways: Sequence[Way], mesh: Mesh, tuning: Tuning) -> list[list[str]]:
    outbound = configurations.envoy_outbound(ways, mesh.peer_backend_address, mesh.directory, tuning)
    inbound = configurations.envoy_inbound(ways, mesh.directory)
    more = ["--concurrency", str(tuning.workers), "-l", "error", "--disable-hot-restart"]
    files = _written(mesh, "envoy", json.dumps(outbound), json.dumps(inbound))
    return [[program, "-c", file, *more] for file in files]


def _nginx(program: str, ways: Sequence[Way], mesh: Mesh, _: Tuning) -> list[list[str]]:
    files = mesh.directory / "nginx.d"
    files.mkdir(exist_ok=True)
    text = configurations.nginx_hop(ways, mesh.peer_backend_address, files)
    return [[program, "-e", "stderr", "-c", file] for file in _written(mesh, "nginx", text)]


def _floor(ways: Sequence[Way], mesh: Mesh, _: Tuning) -> list[list[str]]:
    """Two relays without TLS and HTTP: what the sockets of any pair cost."""
    outbound = [f"127.0.0.1:{way.outbound}={mesh.peer_backend_address}:{way.inbound}" for way in ways]
    inbound = [f"0.0.0.0:{way.inbound}=127.0.0.1:{way.backend}" for way in ways]
    program = str(mesh.directory / LOAD)
    return [[program, "relay", *(word for way in side for word in ("--way", way))] for side in (outbound, inbound)]


def _written(mesh: Mesh, name: str, *texts: str) -> list[str]:
    """The paths of the files: of the outbound side, and of the inbound one."""
    files: list[Path] = []
    for side, text in zip(("outbound", "inbound"), texts, strict=False):
        files.append(mesh.directory / f"{name}-{side}.conf")
        files[-1].write_text(text)
    return [str(file) for file in files]
