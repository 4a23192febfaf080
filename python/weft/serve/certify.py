"""The identity service: a token and a certificate request in, a certificate out.

Decides only the order of checks and their gRPC codes; what a valid token, workload or request is, `weft.identity` says.
"""

import asyncio
import logging

import grpc

from weft.answers import Answers
from weft.gen import identity_pb2
from weft.identity import bound, ca, tokens
from weft.identity.files import InForce
from weft.identity.request import Refused
from weft.lib.clock import Clock
from weft.lib.errors import WeftError
from weft.serve.stream import Context

log = logging.getLogger(__name__)


class Certify:
    """Signs for whoever proves to be a workload of the mesh."""

    def __init__(self, issuing: InForce, verifier: tokens.Verifier, answers: Answers, clock: Clock) -> None:
        self.issuing = issuing
        self._verifier = verifier
        self._answers = answers
        self._clock = clock
        self.issued = 0
        self.refused = 0

    async def certify(self, request: identity_pb2.CertifyRequest, context: Context) -> bytes:
        """Answer Identity.Certify."""
        identity = request.identity
        if not identity or not request.token or not request.certificate_signing_request:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "identity, token and request are all needed")
        try:
            bearer = await self._bearer(request)
            names = self._names(bearer, identity)
            now = self._clock()
            leaf = self.issuing.look(now).issue(request.certificate_signing_request, names, now)
        except (tokens.TokenRefused, Refused) as refused:
            self.refused += 1
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

    async def keep_looking(self) -> None:
        """Look at the issuer's files until cancelled: a broken one is said before somebody needs it."""
        while True:
            self.issuing.look(self._clock())
            await asyncio.sleep(LOOK_SECONDS)

    async def _bearer(self, request: identity_pb2.CertifyRequest) -> tokens.Bearer:
        """Who asks. The proxy of a new workload may be faster than the news of it: waited for, for a moment."""
        bearer = self._verifier.bearer(request.token.decode("ascii", "replace"), self._clock())
        try:
            async with asyncio.timeout(NEWS_SECONDS):
                while bound.refusal(self._answers.snapshot, bearer):
                    await self._answers.changed.wait()
        except TimeoutError:
            reason = bound.refusal(self._answers.snapshot, bearer)
            raise tokens.TokenRefused(reason, malformed=False) from None
        return bearer

    def _names(self, bearer: tokens.Bearer, asked: str) -> ca.Names:
        settings = self._answers.snapshot.settings
        about = (bearer.service_account, bearer.namespace)
        proven, dns = settings.identity(*about), settings.server_name(*about)
        if asked not in (proven, dns):
            raise Refused(f"the token proves {proven}, not {asked}", malformed=False)
        return ca.Names(dns, proven if settings.spiffe else "")


NEWS_SECONDS = 1.0
LOOK_SECONDS = 5.0
