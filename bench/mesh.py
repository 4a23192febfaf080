"""The topology every peer is measured in: four workloads of a local mesh, each in a network namespace of its own.

`client` and `backend` are meshed: their proxies are the measured Weft pair, beside the real control plane.
`peer-client` and `peer-backend` are not: the bench runs a peer's outbound proxy in the one, its inbound in the other.
Everything but measured proxies stays on the load core.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import backends, processes, waiting
from bench.errors import MeshError
from weft.lib.errors import WeftError
from weft.local import client, namespaces
from weft.local.control import find_proxy
from weft.local.programs import find_program
from weft.local.state import find


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
        backends.write(directory)
        _write_wrapper(directory, proxy or Path(find_proxy()))
        file = directory / "mesh.json"
        documents = [*backends.documents(directory), *backends.services(services)]
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

    def until_settled(self) -> None:
        """Return when the mesh calls every replica ready, and will not notice later that a proxy was away.

        It looks once a second. A replica that it found without proxy is no endpoint until it is ready again: a request
        would wait for that, up to 185 ms, instead of the proxies.
        """
        waiting.until_steady(lambda: _says_ready(self.name), _LOOKED, "every replica of the mesh being ready")

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
        return _says_ready(name)

    try:
        waiting.until(ready, "the mesh")
    except TimeoutError as problem:
        raise MeshError(f"{problem}\n{said.read_text(errors='replace')}") from problem


def _says_ready(name: str) -> bool:
    try:
        return bool(client.ask(name, {"do": "ps"}).get("ready"))
    except WeftError:
        return False


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
    """The network namespace of an application. It may be ready before it shows whose it is.

    Raises MeshError if it does not come.
    """
    try:
        waiting.until(lambda: _application(directory, role) != 0, f"the workload {role}")
    except TimeoutError as problem:
        raise MeshError(str(problem)) from problem
    return os.open(f"/proc/{_application(directory, role)}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _application(directory: Path, role: str) -> int:
    """The process id of one, 0 if there is none: nginx shows its configuration's path, the others a variable."""
    for pid in processes.all_pids():
        try:
            shown = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        named = f"{directory}/{role}.conf".encode() in shown and processes.program(pid) == "nginx"
        if named or processes.environment(pid).get("WEFT_BENCH_ROLE") == f"{directory}/{role}":
            return pid
    return 0


def _write_wrapper(directory: Path, proxy: Path) -> None:
    """The program that the supervisor starts as the proxy: it becomes the proxy, told what `set_variables` says."""
    (directory / _VARIABLES).touch()
    wrapper = directory / _WRAPPER
    wrapper.write_text(f'#!/bin/sh\n. {directory / _VARIABLES}\nexec {proxy} "$@"\n')
    wrapper.chmod(0o755)


_WRAPPER = "proxy"
_VARIABLES = "proxy-variables"
_LOOKED = 1.5
"""Seconds in which the supervisor has looked at every replica."""
