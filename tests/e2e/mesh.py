"""The `weft` command as a test uses it: one mesh, its files, and waiting for conditions."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "python"
PATIENCE = 60.0


@dataclass
class Weft:
    """The `weft` command for one mesh with its files in `directory`."""

    name: str
    directory: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    where: tuple[str, ...] = ()
    """What `weft up` is run by, in another place than the test's own."""

    def run(self, *arguments: str, stdin: str = "", mesh: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one command about the mesh (or about none) to its end."""
        verb, *rest = arguments
        return subprocess.run(
            [*COMMAND, verb, *(["--mesh", self.name] if mesh else []), *rest],
            cwd=self.directory,
            env=environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def up(self, file: Path, *options: str) -> subprocess.Popen[str]:
        """Start the mesh in the foreground and wait until everything is ready."""
        process = self.start(file, *options)

        def ready() -> bool:
            assert process.poll() is None, process.stdout and process.stdout.read()
            rows[:] = self.replicas()
            return bool(rows) and all(row["ready"] for row in rows)

        rows: list[dict[str, object]] = []
        until(ready, lambda: f"not ready: {rows}")
        return process

    def start(self, file: Path, *options: str) -> subprocess.Popen[str]:
        """Start the mesh in the foreground, and go on."""
        process = subprocess.Popen(
            [*self.where, *COMMAND, "up", "--mesh", self.name, *options, str(file)],
            cwd=self.directory,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def replicas(self) -> list[dict[str, object]]:
        """Return the rows of `weft ps`; none while the mesh does not answer."""
        said = self.run("ps", "-o", "json")
        rows = json.loads(said.stdout) if said.returncode == 0 else []
        assert isinstance(rows, list)
        return rows


def until(condition: Callable[[], bool], state: Callable[[], str] = lambda: "") -> None:
    """Wait for a condition; after a minute fail with what `state` says."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, f"still not so after a minute {state()}"
        time.sleep(0.05)


def environment() -> dict[str, str]:
    """Return the environment in which `weft` finds this clone's sources."""
    paths = [str(SOURCES), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


COMMAND = (sys.executable, "-m", "weft")
