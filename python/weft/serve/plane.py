"""The control plane as one value: a source, the answers, three gRPC servers and an admin port, started and stopped.

All wiring of the control plane is here; the command line only fills in `Options`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from weft.answers import Answers
from weft.identity.ca import Lifetimes
from weft.identity.files import InForce
from weft.identity.tokens import Verifier
from weft.lib import tasks
from weft.lib.clock import Clock
from weft.lib.errors import WeftError
from weft.model.settings import Settings
from weft.serve import services
from weft.serve.admin import Admin
from weft.serve.certify import Certify
from weft.serve.gauges import Gauges
from weft.serve.services import Handler
from weft.sources import Directory

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a control plane needs to start. A port of 0 is chosen by the kernel."""

    objects: Path
    issuer_directory: Path
    trust_anchors: Path | None = None
    """The anchors, where they are not `ca.crt` of the issuer's directory."""
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    token_key: Path
    settings: Settings
    listen: str = "0.0.0.0"
    identity_port: int = 8080
    destination_port: int = 8086
    policy_port: int = 8090
    admin_port: int = 9990


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a running control plane listens."""

    identity: int
    destination: int
    policy: int
    admin: int


@asynccontextmanager
async def running(options: Options, clock: Clock) -> AsyncIterator[Ports]:
    """Run a control plane inside the `async with`: entered when it is ready, drained when left."""
    answers, gauges = Answers(options.settings), Gauges()
    try:
        verifier = Verifier(options.token_key.read_bytes())
    except OSError as error:
        raise WeftError(f"cannot read {options.token_key}: {error.strerror}", "--token-key names a PEM file") from error
    issuing = InForce(options.issuer_directory, options.trust_anchors, options.lifetimes, clock())
    certify = Certify(issuing, verifier, answers, clock)
    source = Directory(options.objects, answers.change)
    seen = asyncio.Event()
    listening = asyncio.Event()
    gauges.watch("weft_documents", "Documents in force", lambda: len(answers.snapshot.documents))
    gauges.watch("weft_problem_files", "Files whose last good state is in force", lambda: len(source.problems))
    gauges.watch("weft_questions", "Different questions that proxies wait on", lambda: len(answers))
    gauges.watch("weft_answers_made", "Answers computed since the start", lambda: answers.made)
    gauges.watch("weft_certificates_issued", "Certificates issued since the start", lambda: certify.issued)
    gauges.watch("weft_certificates_refused", "Requests for a certificate that were refused", lambda: certify.refused)
    gauges.watch("weft_issuer_problem", "1: the issuer's files are not usable", lambda: issuing.problem is not None)
    gauges.watch(
        "issuer_cert_ttl_seconds",
        "Time until the issuer's certificate expires",
        lambda: (issuing.issuer.valid_until - clock()).total_seconds(),
    )
    admin = Admin(gauges, lambda: seen.is_set() and listening.is_set())
    async with asyncio.TaskGroup() as group:
        admin_server = await _admin(admin, options)
        background = [
            tasks.start(group, "source", source.run(seen)),
            tasks.start(group, "issuer", certify.keep_looking()),
        ]
        servers: list[grpc.aio.Server] = []
        try:
            await seen.wait()  # a proxy that asks before the first snapshot would hear NOT_FOUND
            policy = (services.inbound(answers, gauges), services.outbound(answers, gauges))
            destination = (services.destination(answers, gauges),)
            ports = Ports(
                identity=await _serve(servers, options.listen, options.identity_port, (services.identity(certify),)),
                destination=await _serve(servers, options.listen, options.destination_port, destination),
                policy=await _serve(servers, options.listen, options.policy_port, policy),
                admin=int(admin_server.sockets[0].getsockname()[1]),
            )
            listening.set()
            log.info("control plane ready", extra={"fields": {"documents": len(answers.snapshot.documents)}})
            yield ports
        finally:
            listening.clear()
            await asyncio.gather(*(server.stop(GRACE_SECONDS) for server in servers))
            admin_server.close()
            for task in background:
                task.cancel()


async def _serve(servers: list[grpc.aio.Server], host: str, port: int, handlers: Sequence[Handler]) -> int:
    server = grpc.aio.server(options=SERVER_OPTIONS)
    server.add_generic_rpc_handlers(tuple(handlers))
    shown = f"[{host}]" if ":" in host else host
    try:
        bound = server.add_insecure_port(f"{shown}:{port}")
    except RuntimeError as error:
        raise WeftError(f"cannot listen on {shown}:{port}", "is another control plane running?") from error
    if bound == 0:
        raise WeftError(f"cannot listen on {shown}:{port}", "is another control plane running?")
    await server.start()
    servers.append(server)
    return bound


async def _admin(admin: Admin, options: Options) -> asyncio.Server:
    try:
        return await admin.start(options.listen, options.admin_port)
    except OSError as error:
        where = f"{options.listen}:{options.admin_port}"
        raise WeftError(f"cannot listen on {where}: {error.strerror}", "is another control plane running?") from error


GRACE_SECONDS = 1.0
SERVER_OPTIONS = (
    ("grpc.so_reuseport", 0),  # grpcio shares a port silently otherwise: two control planes would split the proxies
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),  # proxies ping every 10 s on quiet streams
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.http2.max_pings_without_data", 0),  # our own pings go on although a quiet stream sends nothing
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 30_000),  # a proxy that vanished frees its streams
    ("grpc.keepalive_timeout_ms", 10_000),
    # Of more than so many calls that are not yet begun some are refused: after a restart every stream comes at once.
    ("grpc.server.max_pending_requests", 20_000),
    ("grpc.server.max_pending_requests_hard_limit", 50_000),
)
