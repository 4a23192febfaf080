"""The supervisor: the first process of the mesh's PID namespace. Wires the parts, applies plans, ends everything.

Started by `host` with one JSON argument. What should run is decided in `plan` and `difference`; how, in `replica`.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Coroutine, Sequence
from pathlib import Path

from weft.identity.standing import Standing
from weft.lib.errors import WeftError
from weft.lib.tasks import start
from weft.local import difference, fabric, given, namespaces, objects, plan, proxy_admin, rules, zone
from weft.local.addresses import GATEWAY
from weft.local.api import Api
from weft.local.children import Children
from weft.local.control import Control
from weft.local.dependencies import HeldUp, Stand, held_up
from weft.local.difference import Difference
from weft.local.documents import Documents
from weft.local.editing import Editing
from weft.local.egress import Egress
from weft.local.listening import Listening
from weft.local.metrics import Sampler
from weft.local.options import Options
from weft.local.outside import Outside
from weft.local.plan import Plan, Replica
from weft.local.publish import Published
from weft.local.replica import Running, Surroundings
from weft.local.responder import Responder
from weft.local.state import State
from weft.local.store import ObjectStore
from weft.local.uplink import Uplink
from weft.local.upstream import Upstream


class Supervisor:
    """One mesh."""

    def __init__(
        self,
        state: State,
        mesh: str,
        files: Sequence[Path],
        published_by: socket.socket,
        application_uid: int,
        options: Options,
    ) -> None:
        self.state = state
        self.mesh = mesh
        self.editing = Editing(files, self._put_in_force, _say)
        self.current = Plan({}, {}, {}, {}, ())
        self.running: dict[str, tuple[Running, asyncio.Task[None]]] = {}
        self.names = zone.Zone()
        self.dual = False
        """Whether the mesh has IPv6."""
        self.applied = False
        """Whether the mesh file's first plan has been started."""
        self.stopping = asyncio.Event()
        self.change = asyncio.Event()
        self.sampler = Sampler(self.meshed_addresses)
        self._children = Children()
        self._around = Surroundings(
            state,
            self._children,
            application_uid,
            self.changed,
            self.next_change,
            self._held_up,
            lambda replica: self.current.watched.get(replica.key, ()),
        )
        self.options = options
        self.control = Control(state, options, self.standings)
        self._outside = Outside(published_by)
        self._published = Published(self._outside, self.ready_addresses)
        self._uplink = Uplink(self._outside, self._children, _say)
        self._told_closed: set[str] = set()
        """Addresses of replicas that asked for a name outside of the mesh, and may not go there."""
        self._store = ObjectStore(state.objects)
        self._group: asyncio.TaskGroup
        self._following: asyncio.Task[None] | None = None
        """Watches the directory of a given issuer."""
        self._numbers = 0
        self._lives: dict[str, int] = {}
        """How often each replica was started, by key."""
        self._balanced: list[rules.Balanced] = []
        """What replicas without a proxy are balanced over at this moment; the same for all."""

    async def run(self) -> int:
        """Until told to stop; the exit code."""
        documents = await self.editing.start()
        if isinstance(documents, list):
            sys.stderr.writelines(f"{each}\n" for each in documents)
            return 1
        self._children.watch()
        self.dual = await fabric.raise_bridge()
        code = 0
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                names = Responder(lambda: self.names, self._may_ask_elsewhere, Upstream(self._outside).ask)
                await names.listen(group, GATEWAY)
                background = [
                    start(group, "api", Api(self).serve()),
                    start(group, "settle", self._settle()),
                    start(group, "sample metrics", self.sampler.run()),
                    start(group, "announce", self._announce()),
                    start(group, "way to the host", self._let_out()),
                    start(group, "way to the host's network", self._uplink.run()),
                ]
                if await self._before_stopping(self._apply(self._planned(documents))):
                    self.applied = True
                    self.changed()
                    background.append(start(group, "watch mesh files", self.editing.watch()))
                    await self.stopping.wait()
                _say("stopping")
                for task in (*background, *filter(None, [self._following])):
                    task.cancel()
                await self._stop([key for key in self.running if key != _CONTROL])
                await self._stop(list(self.running))
                for listen in self.current.publish:
                    self._published.close(listen)
        except* WeftError as problems:
            for problem in problems.exceptions:
                _say(
                    f"{problem}"
                    + (f"\n    hint: {problem.hint}" if isinstance(problem, WeftError) and problem.hint else "")
                )
            code = 1
        return code

    async def _before_stopping(self, work: Coroutine[object, object, None]) -> bool:
        """Whether this came to its end before the mesh was told to stop; it is given up then."""
        working = start(self._group, "begin", work)
        told = start(self._group, "told to stop", self.stopping.wait())
        await asyncio.wait((working, told), return_when=asyncio.FIRST_COMPLETED)
        done = working.done()
        (told if done else working).cancel()
        return done

    def changed(self) -> None:
        """Something that others see has changed: readiness, a process, the plan."""
        self.change.set()
        self.change = asyncio.Event()

    async def next_change(self) -> None:
        """Until something has changed again."""
        await self.change.wait()

    def objects(self) -> objects.Objects:
        """The documents that the control plane reads, without its own pod."""
        return objects.build(self.current, self.ready(), self.listening(), self._lives)

    def ready(self) -> frozenset[str]:
        """Keys of the replicas that are ready."""
        return frozenset(key for key, (running, _) in self.running.items() if running.ready)

    def listening(self) -> dict[str, Listening]:
        """What each replica listens on."""
        return {key: running.listening for key, (running, _) in self.running.items()}

    def not_ready(self) -> list[str]:
        """Keys of the replicas that are still on their way."""
        return [key for key, (each, _) in self.running.items() if not _has_settled(each)]

    def troubles(self) -> dict[str, list[str]]:
        """What has failed, with the workloads that wait for it: nothing of them is on its way."""
        found: dict[str, list[str]] = {}
        for each, _ in self.running.values():
            if each.trouble:
                waiting = found.setdefault(each.trouble, [])
                if each.held_up_by and each.replica.workload not in waiting:
                    waiting.append(each.replica.workload)
        return found

    def ready_addresses(self, workload: str) -> list[tuple[str, ...]]:
        """The addresses of each of a workload's ready replicas."""
        ready = self.ready()
        replicas = self.current.replicas.items()
        return [
            tuple(filter(None, (each.address, each.address6)))
            for key, each in replicas
            if key in ready and f"{each.namespace}/{each.workload}" == workload
        ]

    def meshed_addresses(self) -> dict[str, str]:
        """Key -> address of the replicas that have a proxy."""
        return {
            key: running.replica.address for key, (running, _) in self.running.items() if running.sidecar is not None
        }

    async def standings(self) -> dict[str, Standing | None]:
        """What every proxy that runs says of its identity. One that starts later reads everything anew."""
        running = {
            key: each.replica.address
            for key, (each, _) in self.running.items()
            if each.proxy is not None and each.proxy.running
        }
        return await proxy_admin.standings(running)

    async def restart(self, keys: Sequence[str]) -> None:
        """Stop these replicas and start them again, one after the other; each is ready before the next one stops."""
        for key in keys:
            replica = self.running[key][0].replica
            await self._withdraw([key])
            await self._stop([key])
            self._expect([key])
            await self._refresh()
            self._start(key, replica)
            while key in self.running and not _has_settled(self.running[key][0]):
                await self.change.wait()

    def _held_up(self, replica: Replica) -> HeldUp:
        on: dict[str, list[Stand]] = {name: [] for name in replica.depends_on}
        for key, each in self.current.replicas.items():
            if each.namespace == replica.namespace and each.workload in on:
                running = self.running[key][0] if key in self.running else None
                on[each.workload].append(_stand(running) if running else Stand(done=False))
        return held_up(on)

    async def _put_in_force(self, documents: Documents, really: bool) -> None:
        new = self._planned(documents)
        if really and difference.between(self.current, new):
            await self._apply(new)
            self.changed()

    def _planned(self, documents: Documents) -> Plan:
        return plan.make(documents, self.current.addresses, self.dual, self.options.egress)

    async def _apply(self, new: Plan) -> None:
        change = difference.between(self.current, new)
        if any(replica.egress for replica in new.replicas.values()):
            self._uplink.want()
        if any(replica.meshed for replica in new.replicas.values()):
            self.control.require()
            self._follow_given_issuer()
            if _CONTROL not in self.running:
                self._start(_CONTROL, objects.control_plane(self.dual))
        await self._withdraw([*change.stop, *change.restart, *change.application, *change.proxy])
        await self._stop([*change.stop, *change.restart])
        for listen in change.close:
            self._published.close(listen)
        self.current = new
        self._expect([*change.start, *change.restart, *change.proxy])
        for key in (*change.adjust, *change.application, *change.proxy):
            self.running[key][0].adjust(new.replicas[key])
        await self._refresh()
        await self._renew(change)
        if _CONTROL in self.running:
            while not self.running[_CONTROL][0].ready:
                await self.change.wait()
        for key in (*change.start, *change.restart):
            self._start(key, new.replicas[key])
        for listen in change.open:
            workload, port = new.publish[listen]
            try:
                await self._published.open(self._group, listen, workload, port)
            except OSError as problem:
                _say(str(problem))

    async def _renew(self, change: Difference) -> None:
        async with asyncio.TaskGroup() as group:
            for key in change.application:
                start(group, f"application of {key}", self.running[key][0].renew_application())
            for key in change.proxy:
                running = self.running[key][0]
                sidecar = self.control.sidecar(running.replica, self._lives.get(key, 0))
                start(group, f"proxy of {key}", running.renew_proxy(sidecar))

    def _follow_given_issuer(self) -> None:
        directory = self.options.issuer_directory
        if directory and self._following is None:
            following = given.follow(Path(directory), self.control.credentials, self.control.rotation, _say)
            self._following = start(self._group, "follow the issuer", following)

    def _expect(self, keys: Sequence[str]) -> None:
        """These replicas begin another life: tokens of the one before are good for nothing from the next refresh on."""
        for key in keys:
            self._lives[key] = self._lives.get(key, 0) + 1

    def _start(self, key: str, replica: Replica) -> None:
        self._numbers += 1
        running = Running(
            replica=replica,
            number=self._numbers,
            around=self._around,
            sidecar=self.control.sidecar(replica, self._lives.get(key, 0)) if replica.meshed else None,
            rules=lambda: self._rules(running.replica),
            privileged_command=self.control.command() if key == _CONTROL else (),
        )
        self.running[key] = running, start(self._group, f"replica {key}", self._guard(key, running))

    async def _guard(self, key: str, running: Running) -> None:
        """One replica's failure is its own: said, and tried again."""
        while True:
            try:
                await running.run()
            except (ExceptionGroup, OSError, RuntimeError) as problem:
                reason = str(_innermost(problem))
                if reason != running.reason:
                    _say(f"{key}: {reason}")
                running.reason = reason
                if os.environ.get("WEFT_DEBUG"):
                    traceback.print_exception(problem)
            await asyncio.sleep(_RETRY)

    async def _withdraw(self, keys: Sequence[str]) -> None:
        """Let everyone know that these replicas go before they are told: a request sent meanwhile is still answered."""
        leaving = [self.running[key][0] for key in keys if key in self.running]
        known = any(each.ready for each in leaving)
        for each in leaving:
            each.leave()
        if known:
            await self._refresh()
            await asyncio.sleep(_WITHDRAWAL)

    async def _stop(self, keys: Sequence[str]) -> None:
        stopped = [self.running.pop(key)[1] for key in keys if key in self.running]
        for task in stopped:
            task.cancel()
        if stopped:
            await asyncio.wait(stopped)

    async def _let_out(self) -> None:
        try:
            await Egress(self._outside, self._children).run()
        except (OSError, RuntimeError) as problem:
            _say(f"{zone.HOST_NAME} leads nowhere: {problem}")

    async def _settle(self) -> None:
        """Tell everyone what changed: names, the control plane's documents, the rules of replicas without a proxy."""
        while True:
            waiting = self.change
            await self._refresh()
            await waiting.wait()
            await asyncio.sleep(_GATHERING)

    async def _refresh(self) -> None:
        ready, listening = self.ready(), self.listening()
        self.names = zone.build(self.current, ready, listening)
        documents = self.objects()
        self._balanced = plan.balanced(self.current, ready, listening)
        if _CONTROL in self.running:
            control, labels = objects.control_plane(self.dual), objects.CONTROL_LABELS
            documents["pod-control-plane.json"] = objects.pod(
                control, labels, _CONTROL in ready, self.dual, self._lives.get(_CONTROL, 0)
            )
        try:
            self._store.write(documents)
        except OSError as problem:
            _say(f"cannot write the control plane's documents: {problem}")
        for running, _ in list(self.running.values()):
            try:
                await running.load_rules()
                await running.follow_egress()
            except (RuntimeError, OSError) as problem:
                _say(str(problem))

    def _may_ask_elsewhere(self, address: str, name: str) -> bool:
        """Whether this replica reaches what is not of the mesh; if not, that is said at its first such question."""
        replica = next((each for each in self.current.replicas.values() if each.address == address), None)
        if replica is None or replica.egress:
            return replica is not None
        if address not in self._told_closed:
            self._told_closed.add(address)
            _say(
                f"{replica.key} asked for {name}, which is not in the mesh\n"
                f"    hint: `egress: host` in {replica.workload}'s spec lets it reach the host's network"
            )
        return False

    def _rules(self, replica: Replica) -> str:
        if replica.meshed:
            return rules.meshed(replica.skip_inbound, replica.skip_outbound, self._balanced, self.dual)
        return rules.unmeshed(self._balanced, self.dual)

    async def _announce(self) -> None:
        """Say once that everything is ready; meanwhile what is being waited for, and what has failed."""
        said: dict[str, list[str]] = {}
        while (not_ready := self.not_ready()) or not self.applied or self.troubles():
            waiting = self.change
            if self.applied and not not_ready and self.troubles() != said:
                said = self.troubles()
                for trouble, held in said.items():
                    _say(trouble + (f"; {', '.join(held)} cannot start before that is put right" if held else ""))
            try:
                await asyncio.wait_for(waiting.wait(), _PATIENCE)
            except TimeoutError:
                for key in not_ready:
                    if key in self.running:
                        _say(f"waiting for {key}: {self.running[key][0].reason}")
        published = "".join(
            f", {workload} at {host}:{port}" for (host, port), (workload, _) in self.current.publish.items()
        )
        _say(f"mesh {self.mesh}: {len(self.current.replicas)} replicas ready{published}")


def _stand(running: Running) -> Stand:
    """A job has done its work only when it has ended."""
    return Stand(running.finished if running.replica.once else running.ready, running.trouble)


def _has_settled(running: Running) -> bool:
    """Whether it is as it will be until somebody does something."""
    return running.ready or running.finished or bool(running.trouble)


def _innermost(problem: BaseException) -> BaseException:
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    return problem


def _say(words: str) -> None:
    sys.stderr.write(f"weft: {words}\n")


async def _run(order: dict[str, object]) -> int:
    binder = socket.socket(fileno=int(str(order["binder"])))
    binder.set_inheritable(False)
    supervisor = Supervisor(
        state=State(Path(str(order["state"]))),
        mesh=str(order["mesh"]),
        files=[Path(str(file)) for file in _list(order["files"])],
        published_by=binder,
        application_uid=int(str(order["application_uid"])),
        options=Options.read(order["options"]),
    )
    lifeline = int(str(order["lifeline"]))

    def told() -> None:
        if os.read(lifeline, 64):
            supervisor.stopping.set()
        else:
            os._exit(1)  # the host's side is gone: so is the mesh, with every process in this PID namespace

    os.set_inheritable(lifeline, False)
    loop = asyncio.get_running_loop()
    loop.add_reader(lifeline, told)
    # The first process of a PID namespace would not notice it otherwise.
    loop.add_signal_handler(signal.SIGTERM, supervisor.stopping.set)
    return await supervisor.run()


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _own_proc() -> None:
    """A /proc that shows the mesh's processes only. A container that masks /proc forbids it; nothing depends on it."""
    namespaces.make_mounts_private()
    with contextlib.suppress(OSError):
        namespaces.mount(
            "proc", Path("/proc"), "proc", namespaces.MS_NOSUID | namespaces.MS_NODEV | namespaces.MS_NOEXEC
        )


_CONTROL = f"{plan.CONTROL_NAMESPACE}/{plan.CONTROL_NAME}-0"
_RETRY = 1.0
_GATHERING = 0.02
"""Seconds in which changes that come together are gathered: a hundred replicas that start are not told one by one."""
_WITHDRAWAL = 1.0
"""Seconds from the news that a replica goes to its end: time for the control plane and all proxies to hear of it."""
_PATIENCE = 5.0

if __name__ == "__main__":
    _own_proc()
    sys.exit(asyncio.run(_run(json.loads(sys.argv[1]))))
