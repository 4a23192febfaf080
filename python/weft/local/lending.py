"""What the host's side of `weft up` lends the mesh, by `outside`'s questions: sockets of its network, and the way out.

The way out is a `pasta` process: on the host's network, but in the mesh's user and PID namespaces, so that it has no
more rights than the mesh and ends with it whatever happens. It is given the mesh's network as its stdin, since /proc
shows a namespace's file only to those who may trace its processes.
"""

import asyncio
import json
import os
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from weft.lib.tasks import start
from weft.local.addresses import UPLINK, UPLINK_GATEWAY
from weft.local.programs import find_program
from weft.local.readable import until_readable

UPLINK_NAME = "uplink"


async def lend(line: socket.socket) -> None:
    """Answer until the mesh hangs up. `line` does not block."""
    async with asyncio.TaskGroup() as group:
        while True:
            await until_readable(line)
            request, given, _, _ = socket.recv_fds(line, 4096, 3)
            if not request:
                return
            number, what, *words = json.loads(request)
            try:
                if what == "way out":
                    made = await _way_out(group, given)
                else:
                    made = _socket(what, words).detach()
            except OSError as problem:
                line.send(json.dumps([number, problem.strerror or str(problem)]).encode())
                continue
            finally:
                for each in given:
                    os.close(each)
            socket.send_fds(line, [json.dumps([number, ""]).encode()], [made])
            os.close(made)


def _socket(what: str, words: list[str | int]) -> socket.socket:
    """Raises OSError with the system's reason."""
    if what == "resolver":
        number, protocol = int(words[0]), str(words[1])
        address = (_name_servers()[number : number + 1] or [""])[0]
        if not address:
            raise FileNotFoundError("there is no such name server")
        if protocol == "TCP":
            return socket.create_connection((address, 53), timeout=_PATIENCE)
        asking = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        asking.connect((address, 53))
        return asking
    host, port = str(words[0]), int(words[1])
    if what == "connect":
        return socket.create_connection((host, port), timeout=_PATIENCE)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)


def _name_servers() -> list[str]:
    """Read anew each time: a laptop's change with the network that it is in."""
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    return [words[1] for line in lines if len(words := line.split()) > 1 and words[0] == "nameserver"]


async def _way_out(group: asyncio.TaskGroup, given: Sequence[int]) -> int:
    """Start pasta; a descriptor of its process once it works. Raises OSError with what it said instead."""
    network, pids, user = given
    with tempfile.TemporaryDirectory(prefix="weft-") as directory:
        works = Path(directory) / "pid"
        with (Path(directory) / "said").open("w+b") as said:
            process = await asyncio.create_subprocess_exec(
                *_command(pids, user, works),
                pass_fds=(pids, user),
                stdin=network,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
            ended = start(group, "pasta", process.wait())
            for _ in range(_POLLS):
                if ended.done() or (works.exists() and works.read_text()):
                    break
                await asyncio.wait([ended], timeout=_POLL)
            if not ended.done():
                return os.pidfd_open(process.pid)
            said.seek(0)
            words = said.read().decode(errors="replace").strip().splitlines()
    raise OSError(f"pasta ended with {process.returncode}: {words[-1] if words else 'it said nothing'}")


def _command(pids: int, user: int, works: Path) -> list[str]:
    enter = [find_program("nsenter") or "nsenter", f"--pid=/proc/self/fd/{pids}"]
    if os.stat(user).st_ino != Path("/proc/self/ns/user").stat().st_ino:
        enter += [f"--user=/proc/self/fd/{user}", "--preserve-credentials"]
    # As root it would become `nobody`, who may not enter the mesh's network.
    stay = ["--runas", "0:0"] if os.geteuid() == 0 else []
    return [
        *enter,
        *(find_program("pasta") or "pasta", "--foreground", "--pid", str(works), *stay),
        *("--netns-only", "--netns", "/proc/self/fd/0", "--ns-ifname", UPLINK_NAME, "--ipv4-only"),
        *("--address", UPLINK, "--netmask", "30", "--gateway", UPLINK_GATEWAY, "--no-map-gw"),
        # Nothing is forwarded into the mesh: `publish` does that.
        *("-t", "none", "-u", "none", "-T", "none", "-U", "none"),
        *("--no-dhcp", "--no-dhcpv6", "--no-ndp", "--no-ra"),
    ]


_PATIENCE = 1.0
"""Seconds; only a full backlog makes a connection on loopback take time."""
_POLL, _POLLS = 0.02, 250
