"""The topology every peer is measured in: four workloads of a local mesh, each in a network namespace of its own.

`client` and `backend` are meshed: their proxies are the measured Weft pair, beside the real control plane.
`peer-client` and `peer-backend` are not: the bench runs a peer's outbound proxy in the one, its inbound in the other.
Everything but measured proxies stays on the load core.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import configurations, processes, waiting, weftload
from bench.scenario import Route
from weft.lib.errors import WeftError
from weft.local import client, namespaces
from weft.local.control import find_proxy
from weft.local.programs import find_program
from weft.local.state import find

PORTS: dict[Route, int] = {"http1": 8080, "grpc": 8081, "stream": 8082, "tcp": 8083, "hop": 8080}
"""Of the backends: nginx, nghttpd, weft-load's echo of gRPC messages and its opaque port; nginx again."""
BODIES = {"/1m": 1 << 20, "/100m": 100 << 20}
"""What nginx serves besides the small body, by path."""
BODY = "x" * 100
GRPC_PATH = "/bench.Bench/call.grpc"
MESSAGE = b"\0\0\0\0\x5f" + b"x" * 95
"""A gRPC message of 100 bytes with its prefix: what a call sends and gets."""


class MeshError(Exception):
    """The topology could not be raised; the message is for people."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """A running topology. Networks are file descriptors."""

    name: str
    directory: Path
    client_network: int
    backend_network: int
    peer_client_network: int
    peer_backend_network: int
    services: Mapping[str, str]
    """Addresses by name: the meshed backend's Service, `backend`, and the others that lead to it."""
    peer_backend_address: str

    @staticmethod
    @contextmanager
    def start(directory: Path, label: str = "weft", proxy: Path | None = None, services: int = 0) -> "Iterator[Mesh]":
        """Raise the mesh, with the named build of the proxy or the installed one; it is gone after the block.

        `services` more Services lead to the meshed backend.
        """
        name = f"bench-{os.getpid()}-{label}"
        _write_backends(directory)
        _write_wrapper(directory, proxy or Path(find_proxy()))
        file = directory / "mesh.json"
        documents = [*_documents(directory), *_services(services)]
        file.write_text("\n---\n".join(json.dumps(document) for document in documents))
        said = directory / "up.log"
        with said.open("wb") as log:
            process = processes.spawn(
                [sys.executable, "-m", "weft", "up", "--mesh", name, str(file)],
                os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC),
                {processes.LOAD_CORE},
                log,
                os.environ | {"WEFT_PROXY_BINARY": str(directory / _WRAPPER)},
            )
            try:
                _until_ready(process, said, name)
                yield _found(directory, name)
            finally:
                process.terminate()
                process.wait()

    def proxy(self, workload: str) -> int:
        """The process id of the proxy that is beside this workload at this moment. 0 when there is none."""
        tokens = f"/{self.name}/tokens/default.{workload}-0"
        for pid in processes.all_pids():
            if processes.program(pid) != "weft-proxy":
                continue
            if processes.environment(pid).get("LINKERD2_PROXY_IDENTITY_TOKEN_FILE", "").endswith(tokens):
                return pid
        return 0

    def service(self, name: str) -> str:
        """The address of a Service."""
        return self.services[name]

    def set_variables(self, **variables: str) -> None:
        """What proxies that start from now on are told beside what the mesh tells them."""
        lines = [f"export {name}={value}\n" for name, value in variables.items()]
        (self.directory / _VARIABLES).write_text("".join(lines))

    def redirect(self, ports: dict[tuple[str, int], int]) -> None:
        """In the peers' client namespace: (address, port) -> port of a local proxy, as the mesh does for its own."""
        rules = [
            f"    ip daddr {address} tcp dport {port} redirect to :{target}"
            for (address, port), target in ports.items()
        ]
        table = [
            "table ip bench {",
            "  chain output {",
            "    type nat hook output priority -90; policy accept;",
            *rules,
            "  }",
            "}",
        ]
        with namespaces.inside(self.peer_client_network):
            subprocess.run(
                [find_program("nft") or "nft", "-f", "-"], input="\n".join(table) + "\n", text=True, check=True
            )


def _until_ready(process: subprocess.Popen[bytes], said: Path, name: str) -> None:
    def ready() -> bool:
        if process.poll() is not None:
            raise MeshError(f"the mesh did not start:\n{said.read_text(errors='replace')}")
        try:
            return bool(client.ask(name, {"do": "ps"}).get("ready"))
        except WeftError:
            return False

    try:
        waiting.until(ready, "the mesh")
    except TimeoutError as problem:
        raise MeshError(f"{problem}\n{said.read_text(errors='replace')}") from problem


def _found(directory: Path, name: str) -> Mesh:
    addresses = {str(row["name"]): str(row["address"]) for row in client.rows(name, {"do": "ps"})}
    return Mesh(
        name=name,
        directory=directory,
        client_network=_network(directory, "client"),
        backend_network=_network(directory, "backend"),
        peer_client_network=_network(directory, "peer-client"),
        peer_backend_network=_network(directory, "peer-backend"),
        services=_service_addresses(name),
        peer_backend_address=addresses["peer-backend-0"],
    )


def _service_addresses(name: str) -> dict[str, str]:
    documents = (json.loads(file.read_text()) for file in find(name).objects.glob("*.json"))
    return {
        str(document["metadata"]["name"]): str(document["spec"]["clusterIP"])
        for document in documents
        if document["kind"] == "Service" and document["metadata"]["namespace"] == "default"
    }


def _network(directory: Path, role: str) -> int:
    """The network namespace of an application: nginx shows its configuration's path, the others a variable."""
    for pid in processes.all_pids():
        try:
            shown = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        named = f"{directory}/{role}.conf".encode() in shown and processes.program(pid) == "nginx"
        if named or processes.environment(pid).get("WEFT_BENCH_ROLE") == f"{directory}/{role}":
            return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    raise MeshError(f"the workload {role} does not run")


def _write_backends(directory: Path) -> None:
    """What the backends serve and how they are set up; also their program that is not installed anywhere."""
    load = weftload.program()
    if load is None:
        raise MeshError(f"weft-load is missing: build it, and name it in {weftload.VARIABLE}")
    # The applications' user may look into this directory, not into whoever's home it was built in.
    shutil.copy(load, directory / "weft-load")
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


def _write_wrapper(directory: Path, proxy: Path) -> None:
    """The program that the supervisor starts as the proxy: it becomes the proxy, told what `set_variables` says."""
    (directory / _VARIABLES).touch()
    wrapper = directory / _WRAPPER
    wrapper.write_text(f'#!/bin/sh\n. {directory / _VARIABLES}\nexec {proxy} "$@"\n')
    wrapper.chmod(0o755)


_WRAPPER = "proxy"
_VARIABLES = "proxy-variables"


def _services(number: int) -> Iterator[dict[str, object]]:
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


def _documents(directory: Path) -> Iterator[dict[str, object]]:
    nginx, nghttpd = find_program("nginx"), find_program("nghttpd")
    if nginx is None or nghttpd is None:
        raise MeshError("nginx or nghttpd is missing: they are the backends of every scenario")
    # nginx resets a stream whose request it did not read; nghttpd reads it and sends trailers, as a gRPC server does.
    calls = f"{nghttpd} --no-tls -d {directory}/served --mime-types-file={directory}/mime.types"
    calls += f" --trailer='grpc-status: 0' {PORTS['grpc']}"
    echo = f"{directory}/weft-load answer --grpc {PORTS['stream']} --tcp {PORTS['tcp']}"
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
    """One worker, no log, no limit on a connection's requests."""
    temporary = "".join(f"{kind}_temp_path {directory}/{kind};" for kind in _TEMPORARY)
    bodies = "".join(f"location = {path} {{ }} " for path in BODIES)
    return f"""
worker_processes 1; daemon off; pid {directory}/pid; error_log stderr error;
worker_rlimit_nofile 20480;
events {{ worker_connections 20480; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; {temporary}
  sendfile on; root {served};
  server {{
    listen {PORTS["http1"]}; default_type text/plain;
    location / {{ return 200 "{BODY}"; }}
    {bodies}
  }}
}}
"""


_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
