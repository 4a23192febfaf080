"""The identity service: a token and a certificate request in, a certificate of a day out.

Decides only the order of checks and their gRPC codes; what a valid token or request is, `weft.identity` says.
The issuer's files are looked at on each call and loaded again when they changed: the last good stays in force.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import grpc

from weft.gen import identity_pb2
from weft.identity import ca, tokens
from weft.lib.clock import Clock
from weft.lib.errors import WeftError
from weft.serve.stream import Context

log = logging.getLogger(__name__)


class Certify:
    """Signs for whoever proves a service account of the mesh."""

    def __init__(
        self, directory: Path, verifier: tokens.Verifier, identity_of: Callable[[str, str], str], clock: Clock
    ) -> None:
        self._directory = directory
        self._verifier = verifier
        self._identity_of = identity_of
        self._clock = clock
        self._stamp = self._look()
        self.issuer = ca.load(directory)
        self.issued = 0

    async def certify(self, request: identity_pb2.CertifyRequest, context: Context) -> bytes:
        """Answer Identity.Certify."""
        identity = request.identity
        if not identity or not request.token or not request.certificate_signing_request:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "identity, token and request are all needed")
        now = self._clock()
        try:
            bearer = self._verifier.bearer(request.token.decode("ascii", "replace"), now)
            proven = self._identity_of(bearer.service_account, bearer.namespace)
            if identity != proven:
                raise ca.Refused(f"the token proves {proven}, not {identity}", malformed=False)
            leaf = self._current().issue(request.certificate_signing_request, identity, now)
        except (tokens.TokenRefused, ca.Refused) as refused:
            log.warning("no certificate", extra={"fields": {"identity": identity, "reason": str(refused)}})
            code = grpc.StatusCode.INVALID_ARGUMENT if refused.malformed else grpc.StatusCode.FAILED_PRECONDITION
            await context.abort(code, str(refused))
        except WeftError as error:
            log.error("cannot issue: %s", error.reason, extra={"fields": {"hint": error.hint}})
            await context.abort(grpc.StatusCode.UNAVAILABLE, error.reason)
        self.issued += 1
        fields = {"identity": identity, "pod": bearer.pod, "valid_until": leaf.valid_until.isoformat()}
        log.info("certificate issued", extra={"fields": fields})
        response = identity_pb2.CertifyResponse(
            leaf_certificate=leaf.certificate, intermediate_certificates=leaf.intermediates
        )
        response.valid_until.FromDatetime(leaf.valid_until.replace(tzinfo=None))
        return response.SerializeToString()

    def _current(self) -> ca.Issuer:
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self.issuer = ca.load(self._directory)
                log.info("issuer loaded", extra={"fields": {"valid_until": self.issuer.valid_until.isoformat()}})
            except WeftError as error:
                log.error(
                    "new issuer refused, the old one stays: %s", error.reason, extra={"fields": {"hint": error.hint}}
                )
        return self.issuer

    def _look(self) -> tuple[int, ...]:
        stamp: list[int] = []
        for name in (ca.ANCHORS, ca.ISSUER, ca.ISSUER_KEY):
            try:
                about = (self._directory / name).stat()
                stamp += (about.st_ino, about.st_mtime_ns, about.st_size)
            except OSError:
                stamp += (0, 0, 0)
        return tuple(stamp)
