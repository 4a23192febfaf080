"""Finds interpreters that the services can use, and copies one that only root could read.

The services run as an unprivileged user, also when root starts them, and an interpreter below root's home (pyenv,
nvm) is out of that user's reach. Whether it is in reach is tried, not guessed from paths. Never changes permissions.
"""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

# The packages that a gRPC service in Python needs, and the one that grpcio needs itself.
NEEDED = ("grpcio", "protobuf", "typing_extensions")
NOT_NEEDED = ("site-packages", "test", "idlelib", "tkinter", "turtledemo", "ensurepip", "__pycache__", "config-*")
NOBODY = 65534


def python(cache: Path, say: Callable[[str], None]) -> tuple[str, dict[str, str]]:
    """The interpreter that runs weft, or a copy of it below `cache`, and the environment that it needs."""
    trial = ["-c", "import grpc, google.protobuf"]
    for env in ({}, _told()):
        if _anyone_can_run([sys.executable, *trial], env):
            return sys.executable, env
    home = cache / f"python-{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    program = str(home / "bin" / "python3")
    env = {
        "PYTHONHOME": str(home),
        "PYTHONPATH": str(home / "packages"),
        "LD_LIBRARY_PATH": str(home / "lib"),
    }
    if not _anyone_can_run([program, *trial], env):
        say(f"Python: copying {sys.version.split()[0]} out of a folder that only this user may read")
        _copy_python(home)
    return program, env


def runnable(name: str, cache: Path) -> str:
    """The path of a program that is one file, or of a copy of it below `cache`."""
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(name)
    program = os.path.realpath(found)
    if _anyone_can_run([program, "--version"], {}):
        return program
    copy = cache / "bin" / name
    copy.parent.mkdir(exist_ok=True)
    shutil.copy2(program, copy)
    return str(copy)


def _told() -> dict[str, str]:
    """What an interpreter may have to be told when it does not find its library or the packages by itself."""
    found = {str(importlib.metadata.distribution(name).locate_file("")) for name in NEEDED}
    kept = {name: os.environ[name] for name in ("PYTHONHOME", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(sorted(found))}


def _anyone_can_run(command: list[str], env: dict[str, str]) -> bool:
    other = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    try:
        done = subprocess.run(command, env=env, cwd="/", capture_output=True, timeout=60, check=False, **other)  # type: ignore[call-overload]
    except OSError:
        return False
    return bool(done.returncode == 0)


def _copy_python(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(library, home / "lib" / library.name, ignore=shutil.ignore_patterns(*NOT_NEEDED))
    (home / "bin").mkdir()
    shutil.copy2(os.path.realpath(sys.executable), home / "bin" / "python3")
    shared = Path(sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("INSTSONAME") or "")
    if shared.suffix != ".a" and shared.is_file():
        shutil.copy2(shared, home / "lib" / shared.name)
    for package in NEEDED:
        for file in importlib.metadata.files(package) or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = home / "packages" / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file.locate(), target)
