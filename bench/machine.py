"""What the figures were taken on: machine, kernel, versions, our build, pinning, and how busy it was otherwise."""

import os
import platform
import re
import subprocess
from pathlib import Path

from bench import processes, programs
from weft.local.programs import find_program


def describe() -> dict[str, object]:
    """The results file's first record."""
    return {
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "load_before": round(os.getloadavg()[0], 2),
        },
        "versions": {
            "haproxy": _version([programs.path("haproxy"), "-v"]),
            "envoy": _version([programs.path("envoy"), "--version"]),
            "nginx": _version([programs.path("nginx"), "-v"]),
            "h2load": _version([find_program("h2load"), "--version"]),
            "python": platform.python_version(),
        },
        "build": _build(Path(os.environ["WEFT_PROXY_BINARY"])) if "WEFT_PROXY_BINARY" in os.environ else {},
        "pinning": {
            "proxies": f"core {processes.PROXY_CORE} (both of a pair)",
            "generator_backend_control_plane": f"core {processes.LOAD_CORE}",
        },
    }


def _build(program: Path) -> dict[str, object]:
    """Our proxy's size, how long its build took (empty where it was there already), and whether by `make pgo`."""
    return {
        "binary_mb": round(program.stat().st_size / 1e6, 2),
        "build_seconds": os.environ.get("WEFT_BENCH_BUILD_SECONDS", ""),
        "by_a_profile_of_itself": os.environ.get("WEFT_BENCH_PROFILED", ""),
    }


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found.group(1) if found else platform.machine()


def _version(command: list[str | None]) -> str:
    """The first number with dots that a program prints about itself; empty when it is missing."""
    words = [word for word in command if word is not None]
    if len(words) != len(command):
        return ""
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+(\.\d+)?", said.stdout + said.stderr)
    return found.group(0) if found else ""
