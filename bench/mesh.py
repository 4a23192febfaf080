"""The topology every peer is measured in: four workloads of a local mesh, each in a network namespace of its own.

`client` and `backend` are meshed: their proxies are the measured Weft pair, beside the real control plane.
`peer-client` and `peer-backend` are not: the bench runs a peer's outbound proxy in the one, its inbound in the other.
Everything but measured proxies stays on the load core.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import processes, waiting
from weft.lib.errors import WeftError
from weft.local import client, namespaces
from weft.local.programs import find_program
from weft.local.state import find

HTTP1_PORT = 8080
GRPC_PORT = 8081
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
    service_address: str
    """Of the meshed backend's Service: what the meshed client asks."""
    peer_backend_address: str

    @staticmethod
    @contextmanager
    def start(directory: Path, label: str = "weft", proxy: Path | None = None) -> "Iterator[Mesh]":
        """Raise the mesh, with the named build of the proxy or the installed one; it is gone after the block."""
        name = f"bench-{os.getpid()}-{label}"
        for role in ("backend", "peer-backend"):
            (directory / f"{role}.d").mkdir()
            (directory / f"{role}.d").chmod(0o777)
            (directory / f"{role}.conf").write_text(_nginx(directory / f"{role}.d"))
        served = directory / "served" / GRPC_PATH.lstrip("/")
        served.parent.mkdir(parents=True)
        served.write_bytes(MESSAGE)
        (directory / "mime.types").write_text("application/grpc grpc\n")
        file = directory / "mesh.json"
        file.write_text("\n---\n".join(json.dumps(document) for document in _documents(directory)))
        said = directory / "up.log"
        with said.open("wb") as log:
            process = processes.spawn(
                [sys.executable, "-m", "weft", "up", "--mesh", name, str(file)],
                os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC),
                processes.LOAD_CORE,
                log,
                {**os.environ, "WEFT_PROXY_BINARY": str(proxy)} if proxy else None,
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
        service_address=_service_address(name),
        peer_backend_address=addresses["peer-backend-0"],
    )


def _service_address(name: str) -> str:
    for file in find(name).objects.glob("*.json"):
        document = json.loads(file.read_text())
        if document["kind"] == "Service" and document["metadata"]["name"] == "backend":
            return str(document["spec"]["clusterIP"])
    raise MeshError("the mesh has no Service for its backend")


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


def _documents(directory: Path) -> Iterator[dict[str, object]]:
    nginx, nghttpd = find_program("nginx"), find_program("nghttpd")
    if nginx is None or nghttpd is None:
        raise MeshError("nginx or nghttpd is missing: they are the backends of every scenario")
    # nginx resets a stream whose request it did not read; nghttpd reads it and sends trailers, as a gRPC server does.
    calls = f"{nghttpd} --no-tls -d {directory}/served --mime-types-file={directory}/mime.types"
    calls += f" --trailer='grpc-status: 0' {GRPC_PORT}"
    for prefix in ("", "peer-"):
        annotations = {"linkerd.io/inject": "disabled"} if prefix else {}
        backend: dict[str, object] = {
            "command": ["sh", "-c", f"{calls} & exec {nginx} -e stderr -c {directory}/{prefix}backend.conf"],
            "ports": [{"name": "http", "port": HTTP1_PORT}, {"name": "grpc", "port": GRPC_PORT}],
            "readiness": {"tcpSocket": {"port": HTTP1_PORT}},
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


def _nginx(directory: Path) -> str:
    """One worker, no log, no limit on a connection's requests."""
    temporary = "".join(f"{kind}_temp_path {directory}/{kind};" for kind in _TEMPORARY)
    return f"""
worker_processes 1; daemon off; pid {directory}/pid; error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; {temporary}
  server {{ listen {HTTP1_PORT}; default_type text/plain; location / {{ return 200 "{BODY}"; }} }}
}}
"""


_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
