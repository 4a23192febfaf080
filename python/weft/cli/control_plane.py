"""`weft control-plane`: options to `weft.serve.plane`, until SIGTERM or SIGINT. Decides nothing itself."""

import asyncio
import gc
import resource
import signal
from datetime import timedelta
from pathlib import Path

import click

from weft.cli._duration import DURATION
from weft.identity.ca import Lifetimes
from weft.lib import log
from weft.lib.clock import system
from weft.lib.errors import WeftError
from weft.model.settings import INBOUND_POLICIES, Settings
from weft.serve import plane

ISSUER_HELP = "issuer.crt, issuer.key and ca.crt, or as cert-manager writes them: tls.crt, tls.key and ca.crt."
FORM_HELP = "Whether workloads are known by DNS-like names or by SPIFFE URIs."
IDENTITY_FORMS = ("dns", "spiffe")


@click.command(name="control-plane")
@click.option("--objects", type=click.Path(path_type=Path), required=True, help="Directory with the mesh's documents.")
@click.option("--issuer-dir", type=click.Path(path_type=Path), required=True, help=ISSUER_HELP)
@click.option(
    "--trust-anchors", type=click.Path(path_type=Path), help="The anchors, PEM; else ca.crt beside the issuer."
)
@click.option("--identity-issuance-lifetime", type=DURATION, default="24h", show_default=True, help="Of certificates.")
@click.option(
    "--identity-clock-skew-allowance",
    type=DURATION,
    default="20s",
    show_default=True,
    help="How far clocks may be apart: certificates are valid for so much longer at both ends.",
)
@click.option("--identity-form", type=click.Choice(IDENTITY_FORMS), default="dns", show_default=True, help=FORM_HELP)
@click.option("--token-key", type=click.Path(path_type=Path), required=True, help="Public key of the tokens, PEM.")
@click.option("--listen", default="0.0.0.0", show_default=True, help="Address for all ports.")
@click.option("--identity-port", default=8080, show_default=True, help="Certificates for proxies.")
@click.option("--destination-port", default=8086, show_default=True, help="Endpoints and profiles.")
@click.option("--policy-port", default=8090, show_default=True, help="Inbound and outbound policies.")
@click.option("--admin-port", default=9990, show_default=True, help="/live, /ready and /metrics.")
@click.option("--control-namespace", default="weft", show_default=True, help="Part of every identity.")
@click.option("--trust-domain", default="cluster.local", show_default=True, help="Part of every identity.")
@click.option("--cluster-domain", default="cluster.local", show_default=True, help="Services are NAME.NS.svc.DOMAIN.")
@click.option(
    "--default-inbound-policy",
    type=click.Choice(INBOUND_POLICIES),
    default="all-unauthenticated",
    show_default=True,
    help="Who may reach a port that nothing else is said about.",
)
@click.option(
    "--allow-l5d-request-headers",
    is_flag=True,
    help="Let requests set timeouts and retries by headers: l5d-timeout, l5d-retry-http ...",
)
@click.option("--log-level", default="info", show_default=True, help="debug, info, warning or error.")
def command(
    objects: Path,
    issuer_dir: Path,
    trust_anchors: Path | None,
    identity_issuance_lifetime: timedelta,
    identity_clock_skew_allowance: timedelta,
    identity_form: str,
    token_key: Path,
    listen: str,
    identity_port: int,
    destination_port: int,
    policy_port: int,
    admin_port: int,
    control_namespace: str,
    trust_domain: str,
    cluster_domain: str,
    default_inbound_policy: str,
    allow_l5d_request_headers: bool,
    log_level: str,
) -> None:
    """Tell proxies who they are, where services are and who may talk to whom."""
    log.configure(log_level)
    # Each proxy has two connections, and the usual soft limit is 1,024: it is for programs that call select().
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    options = plane.Options(
        objects=objects,
        issuer_directory=issuer_dir,
        trust_anchors=trust_anchors,
        lifetimes=Lifetimes(identity_issuance_lifetime, identity_clock_skew_allowance),
        token_key=token_key,
        settings=Settings(
            control_namespace=control_namespace,
            trust_domain=trust_domain,
            cluster_domain=cluster_domain,
            default_inbound_policy=default_inbound_policy,
            allow_request_headers=allow_l5d_request_headers,
            spiffe=identity_form == "spiffe",
        ),
        listen=listen,
        identity_port=identity_port,
        destination_port=destination_port,
        policy_port=policy_port,
        admin_port=admin_port,
    )
    failed: list[BaseException] = []
    try:
        asyncio.run(_run(options))
    except* WeftError as group:
        failed = _leaves(group)
    for error in failed:
        click.echo(f"weft control-plane: {error}", err=True)
        if isinstance(error, WeftError) and error.hint:
            click.echo(f"    hint: {error.hint}", err=True)
    if failed:
        # Not inside `except*`: some Python 3.11 releases wrap what is raised there in another group, traceback and all.
        raise SystemExit(1)


NEW_OBJECTS = 10_000
"""So many objects more, and what nobody can reach is looked for: one change that concerns all is several thousand."""


async def _run(options: plane.Options) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with plane.running(options, system):
        # The documents stay, so that looking through them again and again for what is no longer used finds nothing.
        gc.collect()
        gc.freeze()
        gc.set_threshold(NEW_OBJECTS)
        await stop.wait()


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
