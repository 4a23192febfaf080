"""Where the programs are that local mode calls."""

import shutil


def find_program(name: str) -> str | None:
    """Its path; also where administrators' programs live, which a normal user's PATH may lack."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
