"""The mesh's CA and the tokens of its replicas.

The issuer is the mesh's own, below an anchor whose key this process alone has, or was given in a directory. Token keys
and own anchors are made anew with each mesh and go with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cryptography import x509

from weft.identity import authority, files, standing, tokens
from weft.identity.authority import Authority, Pair
from weft.lib import clock
from weft.lib.errors import WeftError
from weft.local.objects import uid
from weft.local.plan import TRUST_DOMAIN, Replica


class Signer(Protocol):
    """Where issuers come from, and the anchors that must be trusted for them."""

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """What its issuers lead to."""

    def issuer(self, now: datetime) -> Pair:
        """The issuer to use."""

    @property
    def makes(self) -> bool:
        """Whether each issuer that it gives is a new one."""


@dataclass(frozen=True, slots=True)
class Own:
    """Makes issuers itself."""

    _authority: Authority

    @staticmethod
    def make() -> "Own":
        """A new anchor."""
        return Own(Authority.make(TRUST_DOMAIN, clock.system()))

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """One."""
        return (self._authority.anchor,)

    @property
    def makes(self) -> bool:
        """Yes."""
        return True

    def issuer(self, now: datetime) -> Pair:
        """A new one."""
        return self._authority.issuer(now)


@dataclass(frozen=True, slots=True)
class Given:
    """An issuer from a directory, as it was when it was read."""

    anchors: tuple[x509.Certificate, ...]
    _pair: Pair

    @staticmethod
    def read(directory: Path) -> "Given":
        """Checked as the control plane would. Raises WeftError."""
        layout = files.Layout.of(directory)
        loaded = files.load(directory, None, clock.system())
        return Given(loaded.anchors, Pair(layout.certificate.read_bytes(), layout.key.read_bytes()))

    @property
    def makes(self) -> bool:
        """No."""
        return False

    def issuer(self, _now: datetime) -> Pair:
        """The one that was read."""
        return self._pair


class Credentials:
    """The token key's private half stays in this process."""

    def __init__(self, directory: Path, signer: Signer) -> None:
        self._directory = directory
        self._key = tokens.create_key()
        self.signer = signer
        self.anchors = directory / files.ANCHORS
        self.token_key = directory / "token.pub"
        """The public half, PEM, for the control plane."""
        self._writes = 0
        self.token_key.write_bytes(self._key.public)
        self.trust(signer.anchors)
        self.sign_with(signer)

    @staticmethod
    def make(directory: Path, given: Path | None) -> "Credentials":
        """New ones in an empty directory; `given` has an issuer to use in place of one of our own."""
        return Credentials(directory, Given.read(given) if given else Own.make())

    @property
    def trusted(self) -> list[x509.Certificate]:
        """The anchors in the bundle."""
        return files.certificates(self.anchors)

    @property
    def issuer(self) -> x509.Certificate:
        """The certificate that leaves are signed with."""
        return files.certificates(self._directory / files.ISSUER)[0]

    def problem(self) -> WeftError | None:
        """What is wrong with the issuer, as the control plane sees it."""
        try:
            files.load(self._directory, None, clock.system())
        except WeftError as problem:
            return problem
        return None

    def trust(self, anchors: Sequence[x509.Certificate]) -> None:
        """Write the bundle. Every proxy takes it up in seconds, and renews its certificate, whatever changed."""
        self._writes += 1
        fresh = self.anchors.with_name(f".{self.anchors.name}.new")
        comment = f"# written {self._writes} times\n".encode()
        fresh.write_bytes(comment + b"".join(standing.pem(each) for each in dict.fromkeys(anchors)))
        fresh.rename(self.anchors)

    def sign_with(self, signer: Signer) -> None:
        """Let this signer's issuer sign from now on; its anchors are in the bundle."""
        authority.write_pair(self._directory, signer.issuer(clock.system()))
        self.signer = signer

    def write_token(self, replica: Replica, life: int, path: Path, now: datetime) -> None:
        """Write a fresh token in place, in one write: whoever has the file open or bind-mounted sees the new one."""
        bearer = tokens.Bearer(replica.namespace, replica.service_account, replica.name, uid(replica.key, life))
        path.write_text(tokens.mint(self._key.private, bearer, now))
