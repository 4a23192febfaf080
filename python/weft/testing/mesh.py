"""One mesh from `weft up` to its end: its files in a directory of their own, its replicas, metrics and processes.

Speaks to the mesh as every command does, by its socket. A mesh lives in namespaces of its own, so any number of them
can run at once.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from weft.lib.errors import WeftError
from weft.local import client
from weft.local.rules import ADMIN_PORT
from weft.testing import processes
from weft.testing.waiting import wait_until

SOURCES = Path(__file__).parents[2]
STOP_SECONDS = 30


class Mesh:
    """`documents` is the mesh file's text; `files` are copied beside it, where applications can read them.

    `options` are for `weft up`. Ready when the block is entered; stopped, with everything in it, when it is left.
    """

    def __init__(
        self, documents: str, files: Sequence[Path] = (), name: str = "test", options: Sequence[str] = ()
    ) -> None:
        self.name = f"{name}-{os.getpid()}-{secrets.token_hex(2)}"
        self.directory = Path(tempfile.mkdtemp(prefix=f"weft-{name}-"))
        self.directory.chmod(0o755)  # applications run as somebody else
        self.file = self.directory / "mesh.yaml"
        self.file.write_text(documents)
        for file in files:
            shutil.copyfile(file, self.directory / file.name)
        self.options = tuple(options)
        self.supervisor: subprocess.Popen[bytes] | None = None

    @classmethod
    def of_file(cls, file: Path, options: Sequence[str] = ()) -> "Mesh":
        """A mesh of a file that stays where it is; `edit` is not for it."""
        mesh = cls("", name=file.stem, options=options)
        mesh.file = file.absolute()
        return mesh

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start it and wait until every replica is ready. Raises RuntimeError with what `weft up` said when it ends."""
        with (self.directory / "output").open("ab") as output:
            self.supervisor = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *_weft("up", "--mesh", self.name, *self.options, str(self.file))],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._all_ready, f"mesh {self.name} is ready")
        return self

    def stop(self) -> None:
        """End it, by force when asking does not help, and delete its directory."""
        if self.supervisor is not None and self.supervisor.poll() is None:
            self.supervisor.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.supervisor.wait(STOP_SECONDS)
            self.supervisor.kill()
            self.supervisor.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def run(self, verb: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a `weft` command (`verb` may be two words) about this mesh to its end."""
        command = _weft(*verb.split(), "--mesh", self.name, *arguments)
        return subprocess.run(command, env=_environment(), input=stdin, capture_output=True, text=True, check=False)

    def exec(self, replica: str, *command: str, stdin: str = "") -> str:
        """What a command beside a replica's application printed. Raises RuntimeError when it fails."""
        done = self.run("exec", replica, "--", *command, stdin=stdin)
        if done.returncode != 0:
            raise RuntimeError(f"{command} in {replica} ended with {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    def background(self, replica: str, *command: str) -> subprocess.Popen[str]:
        """Start a command beside a replica's application, with pipes for its stdin and stdout."""
        return subprocess.Popen(
            _weft("exec", "--mesh", self.name, replica, "--", *command),
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def in_fabric(self, *command: str) -> subprocess.Popen[str]:
        """Start a command on the network that joins the replicas, with pipes: sees every packet between them."""
        user = ["--user", "--preserve-credentials"] if os.geteuid() != 0 else []
        enter = ["nsenter", "--target", str(self._fabric_process()), *user, "--net", "--"]
        return subprocess.Popen([*enter, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def inside(self, replica: str) -> list[str]:
        """A prefix that runs a command on the network of a meshed replica, with the rights of the mesh's owner."""
        proxy = processes.on_host(int(self.replicas()[replica]["proxy_pid"]), self.processes())
        user = ["--user", "--preserve-credentials"] if os.geteuid() != 0 else []
        return ["nsenter", "--target", str(proxy), *user, "--net", "--"]

    def edit(self, documents: str) -> None:
        """Replace the mesh file, as an editor does; does not wait for anything."""
        if self.file.parent != self.directory:
            raise RuntimeError("this mesh runs a file that is not its own: use `apply`")
        fresh = self.file.with_suffix(".new")
        fresh.write_text(documents)
        fresh.rename(self.file)

    def apply(self, documents: str) -> None:
        """Put documents in force beside those of the file. Raises RuntimeError with the problems when there are any."""
        self._do("apply", "-f", "-", stdin=documents)

    def delete(self, kind: str, name: str) -> None:
        """Take a document out of force. Raises RuntimeError when it is not there."""
        self._do("delete", kind, name)

    def scale(self, workload: str, replicas: int) -> None:
        """Run that many replicas; returns when they are ready and the others gone. Raises RuntimeError."""
        self._do("scale", workload, "--replicas", str(replicas))
        names = {f"{workload}-{ordinal}" for ordinal in range(replicas)}

        def so() -> bool:
            own = {name: row for name, row in self.replicas().items() if name.rpartition("-")[0] == workload}
            return own.keys() == names and all(row["ready"] for row in own.values())

        wait_until(so, f"{workload} has {replicas} ready replicas")

    def _do(self, verb: str, *arguments: str, stdin: str = "") -> None:
        done = self.run(verb, *arguments, stdin=stdin)
        if done.returncode != 0:
            raise RuntimeError(f"weft {verb} ended with {done.returncode}: {done.stderr}{done.stdout}")

    def replicas(self) -> dict[str, dict[str, Any]]:
        """The rows of `weft ps` by the replica's name; empty while the mesh does not answer."""
        try:
            return {str(row["name"]): row for row in client.rows(self.name, {"do": "ps"})}
        except WeftError:
            return {}

    def metrics(self, replica: str) -> list[Sample]:
        """What the replica's proxy counts at this moment. Raises RuntimeError when it does not say."""
        url = f"http://{self.replicas()[replica]['address']}:{ADMIN_PORT}/metrics"
        read = f"import urllib.request as r; print(r.urlopen({url!r}, timeout=10).read().decode())"
        asking = self.in_fabric(sys.executable, "-c", read)
        text, _ = asking.communicate()
        if asking.returncode != 0:
            raise RuntimeError(f"{replica} did not tell its metrics")
        return [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def counted(self, replica: str, family: str, labels: Mapping[str, str] | None = None) -> float:
        """The sum of a counter of the replica's proxy over all series that carry `labels`."""
        wanted = (labels or {}).items()
        return sum(
            each.value for each in self.metrics(replica) if each.name == family and wanted <= each.labels.items()
        )

    def logs(self, replica: str, part: str = "app") -> str:
        """What the replica's application (or `proxy`) printed."""
        request: dict[str, object] = {"do": "logs", "name": replica, "part": part}
        with client.conversation(self.name, request) as answers:
            return "\n".join(str(answer["line"]) for answer in answers)

    def output(self) -> str:
        """What `weft up` said."""
        return (self.directory / "output").read_text(errors="replace")

    def processes(self) -> dict[int, str]:
        """All processes of the mesh as the host sees them: process id -> command line."""
        return processes.sharing(self._fabric_process())

    def signal(self, pid: int, number: int) -> None:
        """Signal a process by its id inside the mesh, as `replicas` gives it."""
        os.kill(processes.on_host(pid, self.processes()), number)

    def _fabric_process(self) -> int:
        """The mesh's first process, which lives on the network that joins the replicas."""
        assert self.supervisor is not None
        return processes.first_inside(self.supervisor.pid)

    def _all_ready(self) -> bool:
        assert self.supervisor is not None
        if self.supervisor.poll() is not None:
            raise RuntimeError(f"`weft up` has ended: {self.output()}")
        try:
            answer = client.ask(self.name, {"do": "ps"})
        except WeftError:
            return False
        if answer.get("failed"):
            raise RuntimeError(f"the mesh cannot become ready: {answer['failed']}")
        return answer.get("ready") is True


def _weft(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "weft", *arguments]


def _environment() -> dict[str, str]:
    """`weft` is found where this file is, also when it is not installed."""
    paths = [str(SOURCES), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
