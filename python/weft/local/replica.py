"""One running replica: its network namespace, its proxy, its application and whether it is ready.

Acts on one `plan.Replica` from start to stop; what the replica should be is the plan's to say.
"""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from weft.lib.tasks import start
from weft.local import fabric, listening, probes, zone
from weft.local.addresses import GATEWAY
from weft.local.children import Child, Children
from weft.local.dependencies import HeldUp
from weft.local.launch import Launch
from weft.local.listening import Listening
from weft.local.output import Log
from weft.local.plan import Replica
from weft.local.process import Process
from weft.local.programs import find_program
from weft.local.rules import ADMIN_PORT
from weft.local.state import State
from weft.model.workload import Probe


@dataclass(frozen=True, slots=True)
class Sidecar:
    """How to run the proxy of one replica; absent for an unmeshed replica."""

    command: tuple[str, ...]
    environment: dict[str, str]
    token: Callable[[], Coroutine[object, object, None]]
    """Keeps the token file fresh until cancelled."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all replicas of a mesh share."""

    state: State
    children: Children
    application_uid: int
    changed: Callable[[], None]
    """Told when anything that others see has changed."""
    next_change: Callable[[], Coroutine[object, object, None]]
    """Returns when anything has changed again."""
    held_up: Callable[[Replica], HeldUp]
    """What keeps a replica from starting."""
    watched: Callable[[Replica], Collection[str]]
    """By which protocols it matters to others what it listens on."""


@dataclass(slots=True)
class Running:
    """Started by `run`, stopped by cancelling it."""

    replica: Replica
    number: int
    around: Surroundings
    sidecar: Sidecar | None
    rules: Callable[[], str]
    """The nftables rules that the replica should have at this moment."""
    privileged_command: tuple[str, ...] = ()
    """Run this instead of the replica's command, as the supervisor's user: the control plane."""
    ready: bool = False
    reason: str = "starting"
    """Why it is not ready."""
    listening: Listening = field(default_factory=Listening)
    """What its application listens on; looked at only where there is IPv6."""
    port: fabric.Port | None = None
    application: Process | None = None
    proxy: Process | None = None
    logs: dict[str, Log] = field(default_factory=dict)
    leaving: bool = False
    """About to be stopped: it still answers, and nobody should begin to ask it anything."""
    _not_started: str = ""
    """Why its startup probe has not passed yet; empty where it has, or where there is none."""
    _loaded_rules: str = ""
    _way_open: bool = False
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the way is opened or closed: the replica's start and the supervisor's look may come together."""
    held_up_by: str = ""
    """What has failed that it waits for."""
    _parts: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _group: asyncio.TaskGroup | None = None
    """Owns the parts while they run."""
    _renewing: bool = False
    """Its proxy is replaced while its application goes on."""
    _proxy_ready: asyncio.Event = field(default_factory=asyncio.Event)
    _application_stopped: asyncio.Event = field(default_factory=asyncio.Event)
    """Not set while the application runs: its proxy ends after it, so that what it has in hand can be answered."""

    async def run(self) -> None:
        """Keep the replica running until cancelled; then stop it and take its network away."""
        self.port = await fabric.attach(self.number, self.replica.address, self.replica.address6)
        self._application_stopped.set()
        self._proxy_ready.clear()
        self._loaded_rules, self._way_open = "", False
        self.listening = Listening()
        try:
            await self.load_rules()
            await self.follow_egress()
            self._write_files()
            self.logs = {
                name: Log(self.around.state.logs / f"{self._file_name}.{name}.log") for name in ("app", "proxy")
            }
            async with asyncio.TaskGroup() as readers:
                copying = [start(readers, f"log {log.path.name}", log.run()) for log in self.logs.values()]
                try:
                    await self._keep_processes()
                finally:
                    self.ready = False
                    for task in copying:
                        task.cancel()
        finally:
            await fabric.detach(self.port)
            os.close(self.port.network)
            self.port = None

    async def load_rules(self) -> None:
        """Bring the nftables rules of the namespace up to date. Raises RuntimeError with nft's words."""
        wanted = self.rules()
        if self.port is None or wanted == self._loaded_rules:
            return
        command = [find_program("nft") or "nft", "-f", "-"]
        code, printed = await self.around.children.run(command, network=self.port.network, text=wanted)
        if code != 0:
            raise RuntimeError(f"nft refused the rules of {self.replica.key}: {printed.strip()}")
        self._loaded_rules = wanted

    async def follow_egress(self) -> None:
        """Open or close the way to the host's network as the replica should have it at this moment."""
        async with self._opening:
            if self.port is None or self.replica.egress == self._way_open:
                return
            await (fabric.open_way if self.replica.egress else fabric.close_way)(self.port)
            self._way_open = self.replica.egress

    @property
    def finished(self) -> bool:
        """Whether it is a job that has done its work."""
        return self.application is not None and self.application.finished

    @property
    def trouble(self) -> str:
        """Why it will not come to be ready unless somebody does something; empty where that is not known."""
        if self.application is not None and self.application.failed:
            return f"job {self.replica.workload} failed: {self.replica.name} {self.application.ended}"
        return self.held_up_by

    def leave(self) -> None:
        """Be not ready from now on, whatever the probe finds."""
        self.leaving = True
        self._say(False, "leaving")

    def adjust(self, replica: Replica) -> None:
        """Be this from now on. What of it concerns a process holds for the next one."""
        before, self.replica = self.replica, replica
        if (before.startup, before.liveness) != (replica.startup, replica.liveness) and "health" in self._parts:
            self._parts["health"].cancel()
            self._start("health", self._watch_health(started=not self._not_started))

    async def renew_application(self) -> None:
        """Replace the application, if it has begun, and leave the proxy as it is; it does not leave any more."""
        if await self._stop("app"):
            self._start("app", self._keep_application())
        self.leaving = False

    async def renew_proxy(self, sidecar: Sidecar) -> None:
        """Replace the proxy and leave the application as it is; it does not leave any more."""
        self.sidecar, self._renewing = sidecar, True
        try:
            begun = await self._stop("proxy")
        finally:
            self._renewing = False
        if begun:
            self._proxy_ready.clear()
            self._start("proxy", self._keep_proxy())
        self.leaving = False

    def _start(self, part: str, work: Coroutine[object, object, None]) -> None:
        assert self._group is not None
        self._parts[part] = start(self._group, f"{part} {self.replica.key}", work)

    async def _stop(self, part: str) -> bool:
        """Whether there was something to stop."""
        task = self._parts.pop(part, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        return task is not None

    def execute(
        self, command: tuple[str, ...], stdin: int | IO[bytes], stdout: int | IO[bytes], stderr: int | IO[bytes]
    ) -> Child:
        """Start another command beside the application, as the application's user. Raises OSError."""
        assert self.port is not None
        return self.around.children.start(
            self._launch(command).argv(), network=self.port.network, stdin=stdin, stdout=stdout, stderr=stderr
        )

    async def _keep_processes(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._group, self._parts = group, {}
            if self.privileged_command:
                self._start("app", self._keep_application())
                # Its proxy asks it for a certificate first. Only polling tells when another process listens.
                while not await self._http_ready(_CONTROL_PLANE_ADMIN, "/ready"):  # noqa: ASYNC110
                    await asyncio.sleep(_PROXY_STARTING_PERIOD)
                self._start("proxy", self._keep_proxy())
            else:
                self._start("proxy", self._keep_proxy())
                self._say(False, "waits for its proxy")
                await self._proxy_ready.wait()
                await self._wait_for_others()
                self._start("app", self._keep_application())
            start(group, f"readiness {self.replica.key}", self._watch_readiness())
            self._start("health", self._watch_health(started=False))

    async def _wait_for_others(self) -> None:
        while held_up := self.around.held_up(self.replica):
            self._say(False, held_up.words)
            if held_up.trouble != self.held_up_by:
                self.held_up_by = held_up.trouble
                self.around.changed()
            await self.around.next_change()
        self.held_up_by = ""

    async def _keep_application(self) -> None:
        log = self.logs["app"]

        def begin() -> Child:
            assert self.port is not None
            command = list(self.privileged_command) or self._launch(self.replica.command).argv()
            return self.around.children.start(command, network=self.port.network, stdout=log.pipe, stderr=log.pipe)

        retries = self.replica.retries if self.replica.once else None
        self.application = Process(self.replica.name, begin, log, self.around.changed, retries)
        self._application_stopped.clear()
        try:
            await self.application.keep()
        finally:
            self._application_stopped.set()

    async def _keep_proxy(self) -> None:
        if self.sidecar is None:
            self._proxy_ready.set()
            return
        sidecar, log = self.sidecar, self.logs["proxy"]

        def begin() -> Child:
            assert self.port is not None
            return self.around.children.start(
                sidecar.command,
                network=self.port.network,
                environment=sidecar.environment,
                stdout=log.pipe,
                stderr=log.pipe,
            )

        self.proxy = Process("weft-proxy", begin, log, self.around.changed)
        async with asyncio.TaskGroup() as group:
            start(group, f"token {self.replica.key}", sidecar.token())
            start(group, f"proxy process {self.replica.key}", self.proxy.keep(outlive=self._until_proxy_may_end))
            start(group, f"proxy readiness {self.replica.key}", self._watch_proxy())

    async def _until_proxy_may_end(self) -> None:
        if not self._renewing:
            await self._application_stopped.wait()

    async def _watch_proxy(self) -> None:
        assert self.proxy is not None
        while True:
            if not await self._http_ready(ADMIN_PORT, "/ready"):
                self._proxy_ready.clear()
                await asyncio.sleep(_PROXY_STARTING_PERIOD)
                continue
            self._proxy_ready.set()
            if self.proxy.child is not None:
                await asyncio.wait([self.proxy.child.exit], timeout=_PROXY_READY_PERIOD)
                if not self.proxy.running:
                    self._proxy_ready.clear()

    async def _watch_readiness(self) -> None:
        first = self.replica.readiness
        await asyncio.sleep(first.initial_delay if first else 0)
        failed = 0
        while True:
            probe = self.replica.readiness
            reason = await self._why_not_ready()
            self._look_who_listens()
            failed = failed + 1 if reason else 0
            if not reason:
                self._say(True, "")
            elif not self.ready or not self._runs() or failed >= (probe.failure_threshold if probe else 1):
                self._say(False, reason)
            period = (probe.period if probe else _PLAIN_PERIOD) if self.ready else _STARTING_PERIOD
            if self.application is not None and self.application.child is not None and self._runs():
                await asyncio.wait([self.application.child.exit], timeout=period)
            else:
                await asyncio.sleep(period)

    def _runs(self) -> bool:
        return self.application is not None and self.application.running

    async def _watch_health(self, *, started: bool) -> None:
        """Ask startup, then liveness, of each process in turn; one that fails is ended, so that another one begins.

        `started`: the process that runs has passed a startup probe before.
        """
        startup, liveness = None if started else self.replica.startup, self.replica.liveness
        while startup or liveness or self.replica.startup:
            self._not_started = "has not started yet" if startup else ""
            # Only polling tells when the next process of the application has begun.
            while self.application is None or not self.application.running:  # noqa: ASYNC110
                await asyncio.sleep(_STARTING_PERIOD)
            child = self.application.child
            assert child is not None
            failed = await self._ask_until(startup, child, passes=True) if startup else ""
            which = "startup"
            if not failed and not child.exit.done():
                self._not_started, which = "", "liveness"
                failed = await self._ask_until(liveness, child, passes=False) if liveness else ""
            if failed and not child.exit.done():
                await self.application.end(f"its {which} probe failed: {failed}")
            await asyncio.shield(child.exit)
            startup = self.replica.startup

    async def _ask_until(self, probe: Probe, child: Child, passes: bool) -> str:
        """Why the probe failed as often as it may; empty once it passes (if that ends it), or the process is gone."""
        assert self.port is not None
        await asyncio.sleep(probe.initial_delay)
        failed = 0
        while not child.exit.done():
            reason = await probes.ask(probe, self.replica, self.port.network, self._probe_command)
            failed = failed + 1 if reason else 0
            if failed >= probe.failure_threshold:
                return reason
            if passes and not reason:
                return ""
            if reason and passes:
                self._not_started = f"has not started yet: {reason}"
            await asyncio.sleep(probe.period)
        return ""

    def _look_who_listens(self) -> None:
        protocols = self.around.watched(self.replica)
        if self.port is None or not protocols:
            return
        found = listening.look(self.port.network, "UDP" in protocols)
        if found != self.listening:
            self.listening = found
            self.around.changed()

    async def _why_not_ready(self) -> str:
        assert self.port is not None
        if not self._runs():
            if self.finished:
                return "finished"
            if self.application is not None and self.application.failed:
                return f"failed: {self.application.ended} (see `weft logs {self.replica.name}`)"
            ended = self.application.ended if self.application is not None else ""
            return f"its application {ended} (see `weft logs {self.replica.name}`)" if ended else "starting"
        if self._not_started:
            return self._not_started
        if self.sidecar is not None and not self._proxy_ready.is_set():
            return "its proxy is not ready"
        if self.privileged_command:
            return "" if await self._http_ready(_CONTROL_PLANE_ADMIN, "/ready") else "the control plane is not ready"
        if self.replica.readiness is None:
            return ""
        return await probes.ask(self.replica.readiness, self.replica, self.port.network, self._probe_command)

    async def _http_ready(self, port: int, path: str) -> bool:
        assert self.port is not None
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                return await probes.http_status(self.port.network, self.replica.address, port, path) == 200
        return False

    async def _probe_command(self, command: tuple[str, ...]) -> int:
        child = self.execute(command, subprocess.DEVNULL, subprocess.DEVNULL, subprocess.DEVNULL)
        try:
            return await asyncio.shield(child.exit)
        finally:
            child.signal(9)

    def _say(self, ready: bool, reason: str) -> None:
        if self.leaving:
            ready, reason = False, "leaving"
        changed = ready != self.ready
        self.ready, self.reason = ready, reason
        if changed:
            self.around.changed()

    def _launch(self, command: tuple[str, ...]) -> Launch:
        files = {f"/etc/{name}": str(self._file(name)) for name in _FILES}
        environment = {**_inherited(), **dict(self.replica.environment), "HOSTNAME": self.replica.name}
        return Launch(
            command=list(command),
            environment=environment,
            working_directory=self.replica.working_directory,
            files={target: source for target, source in files.items() if Path(target).exists()},
            hide=str(self.around.state.root),
            outside_uid=self.around.application_uid,
        )

    def _write_files(self) -> None:
        self._file("resolv.conf").write_text(zone.resolv_conf(self.replica.namespace, GATEWAY))
        self._file("hosts").write_text(zone.hosts(self.replica))
        self._file("nsswitch.conf").write_text(zone.NSSWITCH)
        self._file("gai.conf").write_text(zone.GAI_CONF)
        for name in _FILES:
            self._file(name).chmod(0o644)

    def _file(self, name: str) -> Path:
        return self.around.state.files / f"{self._file_name}.{name}"

    @property
    def _file_name(self) -> str:
        return f"{self.replica.namespace}.{self.replica.name}"


def _inherited() -> dict[str, str]:
    """What applications take over from the user's environment: how to find programs and how to show text."""
    return {name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith("LC_")}


_INHERITED = frozenset(
    {
        "PATH",
        "LANG",
        "TERM",
        "TZ",
        "HOME",
        "TMPDIR",
        "PYTHONPATH",
        "NODE_PATH",
        "GOPATH",
        "GOCACHE",
        "GOMODCACHE",
        "VIRTUAL_ENV",
    }
)
_FILES = ("resolv.conf", "hosts", "nsswitch.conf", "gai.conf")
"""What of /etc a replica sees its own version of."""
_CONTROL_PLANE_ADMIN = 9990
_PROXY_READY_PERIOD = 10.0
"""Seconds; that its process ends is noticed at once."""
_PROXY_STARTING_PERIOD = 0.05
_PLAIN_PERIOD = 1.0
_STARTING_PERIOD = 0.1
