"""The Unix socket by which the other commands reach a running mesh: one JSON request line, JSON lines back.

File descriptors that come with the request (`exec`) are the client's own stdin, stdout and stderr. The directory that
holds the socket is its access control.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import socket
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

from weft.identity import standing
from weft.lib.errors import Problem, WeftError
from weft.lib.tasks import start
from weft.local import inventory
from weft.local.accepting import accept
from weft.local.output import Log
from weft.local.process import describe_exit
from weft.local.readable import until_readable
from weft.local.replica import Running
from weft.model import ObjectId
from weft.viz import authz, callers, edges, routes, stat

if TYPE_CHECKING:
    from weft.local.supervise import Supervisor

Request = dict[str, object]


class Api:
    """Serves one supervisor."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._mesh = supervisor

    async def serve(self) -> None:
        """Until cancelled."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as listener:
            listener.bind(str(self._mesh.state.socket))
            listener.listen(_BACKLOG)
            await accept(listener, _CLIENTS, "api client", self._conversation)

    async def _conversation(self, client: socket.socket) -> None:
        descriptors: list[int] = []
        with client:
            try:
                request = await _receive(client, descriptors)
                reader, writer = await asyncio.open_connection(sock=client.dup())
            except (ValueError, OSError):
                _close(descriptors)
                return
            try:
                await self._answer(request, descriptors, reader, writer)
            except WeftError as problem:
                _send(writer, {"error": problem.reason, "hint": problem.hint})
            except (KeyError, TypeError, ValueError) as problem:
                _send(writer, {"error": f"a request that this mesh does not understand: {problem}", "hint": ""})
            except OSError as problem:
                _send(writer, {"error": str(problem), "hint": ""})
            finally:
                _close(descriptors)
                writer.close()

    async def _answer(
        self, request: Request, descriptors: list[int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        what = request["do"]
        window = float(str(request.get("window", 60)))
        now = asyncio.get_running_loop().time()
        if what == "ps":
            settled, troubles = self._mesh.applied and not self._mesh.not_ready(), list(self._mesh.troubles())
            ready, failed = settled and not troubles, troubles if settled else []
            _send(writer, {"rows": self._processes(), "ready": ready, "failed": failed})
        elif what == "down":
            self._mesh.stopping.set()
            await reader.read()
        elif what == "logs":
            await self._logs(request, reader, writer)
        elif what == "exec":
            await self._execute(request, descriptors, reader, writer)
        elif what == "restart":
            found = [each.replica.key for each in self._find(request)]
            await self._mesh.restart(found)
            _send(writer, {"restarted": found})
        elif what == "options":
            _send(writer, {"options": self._mesh.options.written()})
        elif what == "identity":
            _send(writer, await self._identity())
        elif what in ("rotate-issuer", "rotate-anchors"):
            async with contextlib.aclosing(self._rotate(request)) as lines:
                async for line in lines:
                    _send(writer, {"said": line})
                    await writer.drain()
            _send(writer, {"done": True})
        elif what == "documents":
            _send(writer, {"rows": inventory.rows(self._mesh.editing.documents, self._mesh.objects())})
        elif what in ("apply", "delete", "scale"):
            _send(writer, await self._edit(str(what), request))
        elif what == "stat":
            workloads = self._replicas() if request.get("by") == "replica" else self._workloads()
            _send(writer, {"rows": stat.rows(self._mesh.sampler.ring.window(now, window), workloads)})
        elif what == "authz":
            sources = {str(key) for key in _list(request["replicas"])}
            _send(writer, {"rows": authz.rows(self._mesh.sampler.ring.window(now, window), sources)})
        elif what == "edges":
            _send(writer, {"rows": edges.rows(self._mesh.sampler.ring.window(now, window), self._workloads())})
        elif what == "callers":
            _send(writer, {"rows": callers.rows(self._mesh.sampler.ring.window(now, window), self._workloads())})
        elif what == "routes":
            _send(writer, {"rows": routes.rows(self._mesh.sampler.ring.window(now, window))})
        else:
            raise ValueError(str(what))

    async def _edit(self, what: str, request: Request) -> dict[str, object]:
        """Change the documents in force; the answer has `problems` when that was refused."""
        if not self._mesh.applied:
            raise WeftError("the mesh is still starting", "try again when `weft ps` shows its replicas")
        editing = self._mesh.editing
        if what == "apply":
            texts = [(str(file), str(text)) for file, text in map(_list, _list(request["texts"]))]
            done = await editing.apply(texts, request.get("dry_run") is True)
            if all(isinstance(each, tuple) for each in done):
                return {"done": done}
            problems = [each for each in done if isinstance(each, Problem)]
        elif what == "delete":
            keys = [ObjectId(*(str(part) for part in _list(key))) for key in _list(request["ids"])]
            problems = await editing.delete(keys)
        else:
            workload = ObjectId("mesh.weft.dev", "Workload", str(request["namespace"]), str(request["name"]))
            problems = await editing.scale(workload, int(str(request["replicas"])))
        return {"problems": [dataclasses.asdict(each) for each in problems]}

    def _workloads(self) -> dict[str, tuple[str, str, str, bool]]:
        """Replica key -> namespace, workload, identity, whether meshed."""
        return {
            key: (
                each.replica.namespace,
                each.replica.workload,
                self._mesh.options.identity(each.replica),
                each.replica.meshed,
            )
            for key, (each, _) in self._mesh.running.items()
        }

    def _replicas(self) -> dict[str, tuple[str, str, str, bool]]:
        """The same with each replica as a workload of its own."""
        return {
            key: (
                each.replica.namespace,
                each.replica.name,
                self._mesh.options.identity(each.replica),
                each.replica.meshed,
            )
            for key, (each, _) in self._mesh.running.items()
        }

    async def _identity(self) -> dict[str, object]:
        """What every proxy bears and trusts, and what the mesh signs with and trusts."""
        credentials = self._mesh.control.credentials
        found = await self._mesh.standings()
        rows: list[dict[str, object]] = []
        for key, (running, _) in self._mesh.running.items():
            if running.sidecar is None:
                continue
            said = found.get(key)
            chain = said.chain if said else ()
            rows.append(
                {
                    "namespace": running.replica.namespace,
                    "name": running.replica.name,
                    "identities": standing.names(chain[0]) if chain else [],
                    "chain": [standing.described(each) for each in chain],
                    "anchors": [standing.described(each) for each in said.anchors] if said else [],
                    "answered": said is not None,
                }
            )
        rows.sort(key=lambda row: (str(row["namespace"]), str(row["name"])))
        trusted = [standing.described(each) for each in credentials.trusted]
        problem = credentials.problem()
        return {
            "workloads": rows,
            "issuer": standing.described(credentials.issuer),
            "issuer_problem": {"reason": problem.reason, "hint": problem.hint} if problem else None,
            "anchors": trusted,
        }

    def _rotate(self, request: Request) -> AsyncGenerator[str, None]:
        source, patience = request.get("from"), float(str(request["wait"]))
        directory, rotation = Path(str(source)) if source else None, self._mesh.control.rotation
        if request["do"] == "rotate-issuer":
            return rotation.issuer(directory, patience)
        return rotation.anchors(directory, patience, str(request["until"]))

    def _processes(self) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        for running, _ in self._mesh.running.values():
            application, replica = running.application, running.replica
            rows.append(
                {
                    "name": replica.name,
                    "namespace": replica.namespace,
                    "ready": running.ready,
                    "status": "Ready" if running.ready else running.reason,
                    "restarts": application.restarts if application else 0,
                    "address": replica.address,
                    "meshed": replica.meshed,
                    "pid": application.child.pid if application and application.running and application.child else None,
                    "proxy_pid": running.proxy.child.pid
                    if running.proxy and running.proxy.running and running.proxy.child
                    else None,
                }
            )
        return sorted(rows, key=lambda row: (str(row["namespace"]), str(row["name"])))

    async def _logs(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        followed = self._logs_of(request)
        ends = {log: log.end for _, log in followed}  # before they are read, so that no line falls in between
        lines = request.get("lines")
        for name, log in followed:
            for line in log.tail(int(str(lines)) if lines is not None else None).splitlines():
                _send(writer, {"name": name, "line": line.decode(errors="replace")})
        await writer.drain()
        if not request.get("follow"):
            return
        async with asyncio.TaskGroup() as group:
            tasks = {
                log: start(group, f"follow {name}", _follow(name, log, writer, ends[log])) for name, log in followed
            }
            joining = start(group, "follow new replicas", self._follow_new(request, writer, group, tasks))
            await reader.read()
            joining.cancel()
            for task in tasks.values():
                task.cancel()

    async def _follow_new(
        self,
        request: Request,
        writer: asyncio.StreamWriter,
        group: asyncio.TaskGroup,
        tasks: dict[Log, asyncio.Task[None]],
    ) -> None:
        """A replica that is started again, or that is new, has a log of its own."""
        while True:
            waiting = self._mesh.change
            with contextlib.suppress(WeftError):  # a workload that is gone may come back
                for name, log in self._logs_of(request):
                    if log not in tasks:
                        tasks[log] = start(group, f"follow {name}", _follow(name, log, writer, log.began))
            await waiting.wait()

    def _logs_of(self, request: Request) -> list[tuple[str, Log]]:
        parts = ("app", "proxy") if request.get("part") == "all" else (str(request.get("part", "app")),)
        names = _list(request["names"]) if "names" in request else [request["name"]]
        replicas = [each for name in names for each in self._find({**request, "name": name})]
        if not names:
            namespace = str(request.get("namespace") or "default")
            replicas = [each for each, _ in self._mesh.running.values() if each.replica.namespace == namespace]
        return [
            (f"{running.replica.name}" + (f"/{part}" if len(parts) > 1 else ""), running.logs[part])
            for running in replicas
            for part in parts
            if part in running.logs
        ]

    async def _execute(
        self, request: Request, descriptors: list[int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        running = self._find(request)[0]
        command = request["command"]
        if len(descriptors) != 3 or not isinstance(command, list) or running.port is None:
            raise ValueError("exec needs a command and three descriptors")
        child = running.execute(tuple(str(word) for word in command), *descriptors)
        _close(descriptors)

        async def end_with_client() -> None:
            await reader.read()
            child.signal(signal.SIGTERM)

        try:
            async with asyncio.TaskGroup() as group:
                client = start(group, "exec client", end_with_client())
                code = await asyncio.shield(child.exit)
                client.cancel()
            _send(writer, {"exit": code if code >= 0 else 128 - code, "words": describe_exit(code)})
        finally:
            child.signal(signal.SIGKILL)

    def _find(self, request: Request) -> list[Running]:
        """The replicas that a name means: a workload's, or the one of exactly that name. Raises WeftError."""
        name, namespace = str(request["name"]), str(request.get("namespace") or "default")
        replicas = [running for running, _ in self._mesh.running.values() if running.replica.namespace == namespace]
        found = [running for running in replicas if running.replica.workload == name]
        found = found or [running for running in replicas if running.replica.name == name]
        if not found:
            known = sorted({running.replica.workload for running in replicas})
            raise WeftError(
                f"no workload or replica {name} in namespace {namespace}", f"there are {', '.join(known) or 'none'}"
            )
        return sorted(found, key=lambda running: running.replica.ordinal)


async def _follow(name: str, log: Log, writer: asyncio.StreamWriter, position: int) -> None:
    rest = b""
    async with contextlib.aclosing(log.follow(position)) as chunks:
        async for chunk in chunks:
            *complete, rest = (rest + chunk).split(b"\n")
            for line in complete:
                _send(writer, {"name": name, "line": line.decode(errors="replace")})
            with contextlib.suppress(ConnectionError):  # the reader of the connection notices, and ends this
                await writer.drain()


async def _receive(client: socket.socket, descriptors: list[int]) -> Request:
    """The request line and the descriptors that came with it."""
    text = bytearray()
    while not text.endswith(b"\n"):
        await until_readable(client)
        data, came, _, _ = socket.recv_fds(client, _CHUNK, 3)
        descriptors += came
        text += data
        if not data or len(text) > _REQUEST_LIMIT:
            raise ValueError("no request")
    request = json.loads(text)
    if not isinstance(request, dict):
        raise ValueError("no request")
    return request


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("a list is missing")
    return value


def _send(writer: asyncio.StreamWriter, message: object) -> None:
    writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")


def _close(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())


_BACKLOG = 64
_CLIENTS = 64
_CHUNK = 256 * 1024
_REQUEST_LIMIT = 16 * 1024 * 1024
