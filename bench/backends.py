"""What answers at the end of every way: nginx, nghttpd and weft-load, in two workloads, only one of them meshed.

Writes their files and the mesh's documents; starts nothing.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from bench import configurations, weftload
from bench.errors import MeshError
from bench.scenario import Route
from weft.local.programs import find_program

PORTS: dict[Route, int] = {"http1": 8080, "grpc": 8081, "stream": 8082, "tcp": 8083, "hop": 8080}
"""Of the backends: nginx, nghttpd, weft-load's echo of gRPC messages and its opaque port; nginx again."""
BODIES = {"/1m": 1 << 20, "/100m": 100 << 20}
"""What nginx serves besides the small body, by path."""
STATUSES = [status for status in range(410, 599) if status != 444 and not 494 <= status <= 499]
"""That nginx is asked to answer, by path; those left out mean something else to it."""
BODY = "x" * 100
GRPC_PATH = "/bench.Bench/call.grpc"
LOAD = "weft-load"
"""The file that answers, a copy in the mesh's directory."""
MESSAGE = b"\0\0\0\0\x5f" + b"x" * 95
"""A gRPC message of 100 bytes with its prefix: what a call sends and gets."""


def url(address: str, port: int, path: str = "") -> str:
    """What is asked of a backend at this address: the small body, or this path."""
    return f"http://{address}:{port}{path or GRPC_PATH}"


def status_path(status: int) -> str:
    """What is asked for to be answered with this status."""
    return f"/status/{status}"


def write(directory: Path) -> None:
    """What the backends serve and how they are set up; also their program that is not installed anywhere."""
    load = weftload.program()
    if load is None:
        raise MeshError(f"weft-load is missing: build it, and name it in {weftload.VARIABLE}")
    # The applications' user may look into this directory, not into whoever's home it was built in.
    shutil.copy(load, directory / LOAD)
    for role in ("backend", "peer-backend"):
        (directory / f"{role}.d").mkdir()
        (directory / f"{role}.d").chmod(0o777)
        (directory / f"{role}.conf").write_text(_nginx(directory / f"{role}.d", directory / "served"))
    served = directory / "served" / GRPC_PATH.lstrip("/")
    served.parent.mkdir(parents=True)
    served.write_bytes(MESSAGE)
    for path, size in BODIES.items():
        with (directory / "served" / path.lstrip("/")).open("wb") as file:
            file.truncate(size)
    (directory / "mime.types").write_text("application/grpc grpc\n")


def services(number: int) -> Iterator[dict[str, object]]:
    """So many Services that lead to the meshed backend."""
    for name in configurations.destinations(number):
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {
                "selector": {"mesh.weft.dev/workload": "backend"},
                "ports": [{"name": "http", "port": PORTS["http1"]}],
            },
        }


def documents(directory: Path) -> Iterator[dict[str, object]]:
    """The workloads: a backend and a client that does nothing by itself, and the same without proxies."""
    nginx, nghttpd = find_program("nginx"), find_program("nghttpd")
    if nginx is None or nghttpd is None:
        raise MeshError("nginx or nghttpd is missing: they are the backends of every scenario")
    # nginx resets a stream whose request it did not read; nghttpd reads it and sends trailers, as a gRPC server does.
    calls = f"{nghttpd} --no-tls -d {directory}/served --mime-types-file={directory}/mime.types"
    calls += f" --trailer='grpc-status: 0' {PORTS['grpc']}"
    echo = f"{directory}/{LOAD} answer --grpc {PORTS['stream']} --tcp {PORTS['tcp']}"
    for prefix in ("", "peer-"):
        annotations = {"config.linkerd.io/opaque-ports": str(PORTS["tcp"])}
        if prefix:
            annotations["linkerd.io/inject"] = "disabled"
        backend: dict[str, object] = {
            "command": ["sh", "-c", f"{calls} & {echo} & exec {nginx} -e stderr -c {directory}/{prefix}backend.conf"],
            "ports": [{"name": route, "port": PORTS[route]} for route in ("http1", "grpc", "stream", "tcp")],
            "readiness": {"tcpSocket": {"port": PORTS["http1"]}},
        }
        waiter: dict[str, object] = {
            "command": ["sleep", "infinity"],
            "env": {"WEFT_BENCH_ROLE": f"{directory}/{prefix}client"},
        }
        for name, spec in ((f"{prefix}backend", backend), (f"{prefix}client", waiter)):
            yield {
                "apiVersion": "mesh.weft.dev/v1alpha1",
                "kind": "Workload",
                "metadata": {"name": name, "annotations": annotations},
                "spec": spec,
            }


def _nginx(directory: Path, served: Path) -> str:
    bodies = "".join(f"location = {path} {{ }} " for path in BODIES)
    bodies += "".join(f"location = {status_path(status)} {{ return {status}; }} " for status in STATUSES)
    server = f"""
  sendfile on; root {served};
  server {{
    listen {PORTS["http1"]}; default_type text/plain;
    location / {{ return 200 "{BODY}"; }}
    {bodies}
  }}"""
    return configurations.nginx(directory, server)
