"""`weft up`: run the mesh that one or more files describe."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from weft.cli._duration import DURATION
from weft.cli._shared import fail, fail_with, outputs, told


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE|DIR...", type=click.Path(path_type=Path))
@click.option("-d", "--detach", is_flag=True, help="Return when everything is ready; `weft down` stops it.")
@click.option("--mesh", default="default", show_default=True, help="The mesh's name; several can run at once.")
@click.option(
    "--allow-l5d-request-headers",
    is_flag=True,
    help="Let requests set timeouts and retries by headers: l5d-timeout, l5d-retry-http ...",
)
@click.option(
    "--issuer-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Sign with this issuer (tls.crt, tls.key, ca.crt, or issuer.crt, issuer.key, ca.crt) in place of a new one.",
)
@click.option(
    "--identity-form",
    type=click.Choice(["dns", "spiffe"]),
    default="dns",
    show_default=True,
    help="Whether workloads are known by DNS-like names or by SPIFFE URIs.",
)
@click.option(
    "--identity-issuance-lifetime", type=DURATION, default="24h", show_default=True, help="How long certificates live."
)
@click.option(
    "--egress",
    type=click.Choice(["closed", "host"]),
    default="closed",
    show_default=True,
    help="Whether workloads that do not say `egress` reach the host's network.",
)
@click.option("--validate", is_flag=True, help="Only check the files; exit code 1 when something is wrong.")
@outputs("text")
def command(
    files: tuple[Path, ...],
    detach: bool,
    mesh: str,
    allow_l5d_request_headers: bool,
    issuer_dir: Path | None,
    identity_form: str,
    identity_issuance_lifetime: timedelta,
    egress: str,
    validate: bool,
    output: str,
) -> None:
    """Run the mesh that FILE describes, until Ctrl-C."""
    from weft.lib.errors import WeftError
    from weft.local import host, reading
    from weft.local.options import Options
    from weft.local.state import find

    documents = reading.read(files)
    if isinstance(documents, list):
        fail_with(documents, output)
    if validate:
        workloads, others = len(documents.workloads), len(documents.written) - len(documents.workloads)
        if not told([], output):
            click.echo(f"{workloads} workloads, {others} other documents: valid")
        return
    try:
        state = find(mesh)
        if state.alive():
            raise WeftError(
                f"mesh {mesh} is already running",
                f"edit its file, stop it with `weft down --mesh {mesh}`, or use --mesh",
            )
        host.check_machine()
        options = Options(
            allow_request_headers=allow_l5d_request_headers,
            issuer_directory=str(issuer_dir.resolve()) if issuer_dir else "",
            identity_form=identity_form,
            issuance_lifetime=f"{identity_issuance_lifetime.total_seconds():.0f}s",
            egress=egress,
        )
        if detach:
            host.detach(state, mesh, files, options)
            told({"mesh": mesh, "result": "started"}, output)
            return
        state.make()
        code = host.run(state, mesh, files, options)
    except WeftError as problem:
        fail(problem)
    raise SystemExit(code)
