"""`weft identity`: who everybody is, until when, and how issuer and trust anchors are replaced."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from weft.cli._duration import DURATION
from weft.cli._shared import fail, mesh_option, outputs, table, told

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

source_option = click.option(
    "--from",
    "source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Take what is new from this directory, laid out as for `weft up --issuer-dir`; else the mesh makes it.",
)
wait_option = click.option(
    "--wait", type=DURATION, default="60s", show_default=True, help="How long to wait for everybody at each step."
)


@click.group(invoke_without_command=True)
@mesh_option
@outputs("table")
@click.pass_context
def command(context: click.Context, mesh: str, output: str) -> None:
    """Show the certificates of all workloads, of the issuer and of the trust anchors, or replace the latter two."""
    if context.invoked_subcommand is not None:
        return
    from weft.lib.clock import system
    from weft.lib.errors import WeftError
    from weft.local import client

    try:
        said = client.ask(mesh, {"do": "identity"})
    except WeftError as problem:
        fail(problem)
    if not told(said, output):
        click.echo(_tables(said, system()))


@command.command("rotate-issuer")
@mesh_option
@source_option
@wait_option
@outputs("text")
@click.pass_context
def rotate_issuer(context: click.Context, mesh: str, source: Path | None, wait: timedelta, output: str) -> None:
    """Sign with a new issuer below the same trust anchors, and give everybody a new certificate."""
    request = {"do": "rotate-issuer", "from": _absolute(source), "wait": wait.total_seconds()}
    _rotate(_chosen(context, mesh), request, output)


@command.command("rotate-anchors")
@mesh_option
@source_option
@wait_option
@click.option(
    "--until",
    type=click.Choice(["add", "reissue", "remove"]),
    default="remove",
    show_default=True,
    help="Stop when this step is confirmed; asked for again, it goes on from there.",
)
@outputs("text")
@click.pass_context
def rotate_anchors(
    context: click.Context, mesh: str, source: Path | None, wait: timedelta, until: str, output: str
) -> None:
    """Replace the trust anchors: add the new one everywhere, reissue all certificates below it, remove the old one.

    Every proxy must confirm a step before the next one is made.
    """
    request = {"do": "rotate-anchors", "from": _absolute(source), "wait": wait.total_seconds(), "until": until}
    _rotate(_chosen(context, mesh), request, output)


def _proxies(context: click.Context, param: click.Parameter, written: tuple[str, ...]) -> dict[str, tuple[str, int]]:
    """`HOST`, `HOST:PORT`, `[IPV6]:PORT` or `IPV6` -> host and port."""
    from weft.local.rules import ADMIN_PORT

    found: dict[str, tuple[str, int]] = {}
    for text in written:
        host, colon, port = text.rpartition(":")
        if not colon or (":" in host and not host.endswith("]")):
            host, port = text, str(ADMIN_PORT)
        if not port.isdecimal() or not 0 < int(port) < 65536 or not host:
            raise click.BadParameter(f"`{text}` is not HOST or HOST:PORT", context, param)
        found[text] = host.strip("[]"), int(port)
    return found


anchors_type = click.Path(exists=True, dir_okay=False, path_type=Path)


@command.command()
@click.argument("proxies", nargs=-1, required=True, metavar="PROXY...", callback=_proxies)
@click.option("--trusts", type=anchors_type, help="Each trusts all anchors of this file, perhaps others too.")
@click.option("--under", type=anchors_type, help="The certificate of each leads to an anchor of this file.")
@click.option("--signed-by", type=anchors_type, help="The certificate of each is of this issuer.")
@click.option("--only", type=anchors_type, help="Each trusts exactly the anchors of this file.")
@wait_option
@outputs("text")
def confirm(
    proxies: dict[str, tuple[str, int]],
    trusts: Path | None,
    under: Path | None,
    signed_by: Path | None,
    only: Path | None,
    wait: timedelta,
    output: str,
) -> None:
    """Wait until proxies of any mesh say of their identity what a step of a rotation needs, or end with 1.

    For a control plane that runs from files: change them step by step, and let each step be confirmed by all proxies
    before the next. PROXY is the address of an admin port, HOST or HOST:PORT (4191).
    """
    import asyncio

    from weft.identity import files
    from weft.identity.standing import Demand
    from weft.lib.errors import WeftError
    from weft.local import proxy_admin
    from weft.local.confirmation import confirmed

    if not any((trusts, under, signed_by, only)):
        raise click.UsageError("say what is to be confirmed: --trusts, --under, --signed-by or --only")

    async def run(demand: Demand) -> None:
        hint = "look at those proxies, and leave the files as they are until all confirm"
        asked = confirmed(lambda: proxy_admin.standings_at(proxies), demand.met, "confirm", wait.total_seconds(), hint)
        async for line in asked:
            steps.append(line.strip())
            if output == "text":
                click.echo(line.strip())

    steps: list[str] = []
    try:
        written = {
            name: tuple(files.certificates(path)) if path else ()
            for name, path in (("trusts", trusts), ("under", under), ("signed_by", signed_by), ("only", only))
        }
        asyncio.run(run(Demand(**written)))
    except WeftError as problem:
        told({"done": False, "steps": steps}, output)
        fail(problem)
    told({"done": True, "steps": steps}, output)


def _chosen(context: click.Context, mesh: str) -> str:
    """The mesh: `--mesh` may stand before the subcommand too."""
    given = context.get_parameter_source("mesh") is not ParameterSource.DEFAULT
    return mesh if given or context.parent is None else str(context.parent.params["mesh"])


def _rotate(mesh: str, request: Mapping[str, object], output: str) -> None:
    from weft.lib.errors import WeftError
    from weft.local import client

    done = False
    steps: list[object] = []
    try:
        with client.conversation(mesh, request) as answers:
            for answer in answers:
                if "said" in answer:
                    steps.append(answer["said"])
                    if output == "text":
                        click.echo(answer["said"])
                done = done or answer.get("done") is True
        if not done:
            raise WeftError("the mesh ended before the rotation did", "ask for it again when the mesh runs")
    except WeftError as problem:
        told({"done": False, "steps": steps}, output)
        fail(problem)
    told({"done": True, "steps": steps}, output)


def _absolute(source: Path | None) -> str:
    return str(source.resolve()) if source else ""


def _tables(said: Mapping[str, object], now: datetime) -> str:
    workloads, anchors, issuer = said["workloads"], said["anchors"], said["issuer"]
    assert isinstance(workloads, list)
    assert isinstance(anchors, list)
    assert isinstance(issuer, dict)
    known = {each["sha256"]: str(number) for number, each in enumerate(anchors, 1)}
    rows = [_workload(each, known, now) for each in workloads]
    above = table(["NAMESPACE", "NAME", "IDENTITY", "ENDS_IN", "ISSUER", "TRUSTS"], rows)
    authorities = [["issuer", issuer], *([f"anchor {number}", each] for number, each in enumerate(anchors, 1))]
    below = [
        [str(kind), each["subject"], _left(each["not_after"], now), each["not_after"][:10], each["sha256"][:16]]
        for kind, each in authorities
        if isinstance(each, dict)
    ]
    return f"{above}\n\n{table(['AUTHORITY', 'SUBJECT', 'ENDS_IN', 'ENDS', 'SHA256'], below)}"


def _workload(row: Mapping[str, object], known: Mapping[str, str], now: datetime) -> list[str]:
    chain, anchors, identities = row["chain"], row["anchors"], row["identities"]
    assert isinstance(chain, list)
    assert isinstance(anchors, list)
    assert isinstance(identities, list)
    trusts = ",".join(known.get(each["sha256"], "?") for each in anchors)
    about = [str(row["namespace"]), str(row["name"])]
    if not chain:
        return [*about, "no certificate" if row["answered"] else "no answer", "-", "-", trusts or "-"]
    leaf = chain[0]
    return [*about, str(identities[0]) if identities else "-", _left(leaf["not_after"], now), leaf["issuer"], trusts]


def _left(moment: str, now: datetime) -> str:
    seconds = int((datetime.fromisoformat(moment).astimezone(UTC) - now).total_seconds())
    if seconds <= 0:
        return "ended"
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
