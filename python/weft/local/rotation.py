"""Replaces the issuer or the trust anchors of a running mesh without losing a connection.

Each step is confirmed by every proxy before the next one is made; a step that would cut somebody off is refused, and
says who. A rotation that stopped goes on where it was when it is asked for again. What a proxy says and what follows
from it, `weft.identity.standing` decides.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from weft.identity import standing
from weft.identity.standing import Standing
from weft.lib.errors import WeftError
from weft.local.confirmation import Ask, confirmed
from weft.local.credentials import Credentials, Given, Own, Signer


class Rotation:
    """`ask` gives what every proxy that runs says of its identity."""

    def __init__(self, credentials: Credentials, ask: Ask) -> None:
        self._credentials = credentials
        self._ask = ask
        self._next: Signer | None = None
        """Whose anchors were added and did not replace the old ones yet."""
        self._under_way = asyncio.Lock()

    async def issuer(self, source: Path | None, patience: float) -> AsyncGenerator[str, None]:
        """A new issuer below the anchors that are trusted, and new certificates for everybody."""
        async with self._alone():
            if self._next is not None:
                raise WeftError(_HALF_WAY, "finish it first: weft identity rotate-anchors")
            held = self._credentials
            signer = Given.read(source) if source else held.signer
            if not source and not signer.makes:
                raise WeftError("the mesh's issuer was given to it", "say where the new one is: --from DIRECTORY")
            strangers = [each for each in signer.anchors if each not in held.trusted]
            if strangers:
                raise WeftError(
                    f"{len(strangers)} of the new issuer's anchors are not trusted by the mesh",
                    "add them first: weft identity rotate-anchors --from DIRECTORY",
                )
            held.sign_with(signer)
            held.trust(held.trusted)
            yield f"reissue: {standing.described(held.issuer)['subject']} signs from now on"
            issuer = held.issuer
            async for line in self._until(
                lambda each: each.bears(issuer), "got a certificate of the new issuer", patience
            ):
                yield line

    async def anchors(self, source: Path | None, patience: float, last: str = "remove") -> AsyncGenerator[str, None]:
        """Another anchor in place of the old: add it everywhere, reissue below it, remove the old one."""
        async with self._alone():
            held = self._credentials
            if self._next is None:
                if not source and not held.signer.makes:
                    raise WeftError("the mesh's issuer was given to it", "say where the new one is: --from DIRECTORY")
                self._next = Given.read(source) if source else Own.make()
                held.trust([*held.trusted, *self._next.anchors])
                yield f"add: {_subjects(self._next)} is trusted beside the old"
            signer = self._next

            def trusts(each: Standing) -> bool:
                return all(each.trusts(anchor) for anchor in signer.anchors)

            def under(each: Standing) -> bool:
                return any(each.under(anchor) for anchor in signer.anchors)

            def only(each: Standing) -> bool:
                return set(each.anchors) == set(signer.anchors)

            async for line in self._until(trusts, "trusts the new anchor", patience):
                yield line
            if last == "add":
                return
            if held.signer is not signer:
                held.sign_with(signer)
                held.trust(held.trusted)
                yield f"reissue: {standing.described(held.issuer)['subject']} signs from now on"
            async for line in self._until(under, "has a certificate below the new anchor", patience):
                yield line
            if last == "reissue":
                return
            # Nobody may have come between: who started since read the bundle with both.
            held.trust(signer.anchors)
            self._next = None
            yield f"remove: only {_subjects(signer)} is trusted"
            async for line in self._until(only, "trusts nothing else", patience):
                yield line

    def _alone(self) -> asyncio.Lock:
        if self._under_way.locked():
            raise WeftError("another rotation is under way", "wait for it to end")
        return self._under_way

    def _until(self, ready: Callable[[Standing], bool], what: str, patience: float) -> AsyncGenerator[str, None]:
        hint = "look at their proxies with `weft logs --proxy`, then ask again: it goes on where it stopped"
        return confirmed(self._ask, ready, what, patience, hint)


def _subjects(signer: Signer) -> str:
    return ", ".join(str(standing.described(each)["subject"]) for each in signer.anchors)


_HALF_WAY = "a rotation of the trust anchors has stopped half way"
