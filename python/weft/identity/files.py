"""An issuer that is in files: ours or given, checked before it is used.

    issuer = load(directory, None, now)     # or WeftError: which file, what is wrong with it, what to do
    keeper = InForce(directory, ...)        # the same, loaded again when the files change; the last good one stays

Two layouts: `issuer.crt`, `issuer.key`, `ca.crt`, or as cert-manager writes a Secret: `tls.crt`, `tls.key`, `ca.crt`.
The trust anchors may be in a file of their own, as they hold more than one while they are being replaced.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from weft.identity.ca import Issuer, IssuerKey, Lifetimes
from weft.lib.errors import WeftError

log = logging.getLogger(__name__)

ANCHORS, ISSUER, ISSUER_KEY = "ca.crt", "issuer.crt", "issuer.key"
TLS_CERTIFICATE, TLS_KEY = "tls.crt", "tls.key"
Stamp = tuple[int, ...]
Extension = TypeVar("Extension", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the three parts are."""

    certificate: Path
    key: Path
    anchors: Path

    @staticmethod
    def of(directory: Path, anchors: Path | None = None) -> "Layout":
        """That of a directory, by what is in it."""
        secret = (directory / TLS_CERTIFICATE).exists() and not (directory / ISSUER).exists()
        names = (TLS_CERTIFICATE, TLS_KEY) if secret else (ISSUER, ISSUER_KEY)
        return Layout(directory / names[0], directory / names[1], anchors or directory / ANCHORS)

    def stamp(self) -> Stamp:
        """Differs when a file was written or replaced."""
        stamp: list[int] = []
        for path in (self.certificate, self.key, self.anchors):
            try:
                about = path.stat()
                stamp += (about.st_ino, about.st_mtime_ns, about.st_size)
            except OSError:
                stamp += (0, 0, 0)
        return tuple(stamp)


class InForce:
    """The issuer in force. A broken, expired or mismatching one that comes later is said, and changes nothing."""

    def __init__(self, directory: Path, anchors: Path | None, lifetimes: Lifetimes, now: datetime) -> None:
        self._directory = directory
        self._anchors = anchors
        self._lifetimes = lifetimes
        self._stamp = Layout.of(directory, anchors).stamp()
        self.issuer = load(directory, anchors, now, lifetimes)
        self.problem: WeftError | None = None
        """What is wrong with the files as they are now."""

    def look(self, now: datetime) -> Issuer:
        """The issuer, after a look at the files."""
        stamp = Layout.of(self._directory, self._anchors).stamp()
        if stamp == self._stamp and self.problem is None:
            return self.issuer
        self._stamp = stamp  # with a problem it is tried again: a certificate of the future comes of age
        try:
            self.issuer = load(self._directory, self._anchors, now, self._lifetimes)
            self.problem = None
            log.info("issuer loaded", extra={"fields": {"valid_until": self.issuer.valid_until.isoformat()}})
        except WeftError as error:
            if self.problem is None or self.problem.reason != error.reason:
                fields = {"hint": error.hint, "in_force_until": self.issuer.valid_until.isoformat()}
                log.error("new issuer refused, the last one stays: %s", error.reason, extra={"fields": fields})
            self.problem = error
        return self.issuer


def load(directory: Path, anchors: Path | None, now: datetime, lifetimes: Lifetimes | None = None) -> Issuer:
    """Load the issuer of a directory, after checking that it can sign what the mesh will accept."""
    layout = Layout.of(directory, anchors)
    trusted = certificates(layout.anchors)
    chain = certificates(layout.certificate)
    key = _key(layout.key)
    if chain[0].public_key() != key.public_key():
        raise WeftError(f"{layout.key} is not the key of {layout.certificate}", "replace both together")
    _may_sign(layout.certificate, chain[0])
    _leads_to(layout, chain, trusted, now)
    return Issuer(tuple(trusted), tuple(chain), key, lifetimes or Lifetimes())


def certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file, or WeftError."""
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError as error:
        hint = "the file is PEM, one or more certificates"
        raise WeftError(f"{path} holds no usable certificate: {error}", hint) from error


def signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    """Whether one certificate signed the other."""
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _key(path: Path) -> IssuerKey:
    try:
        key = serialization.load_pem_private_key(_read(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise WeftError(f"{path} holds no usable key: {error}", "the key is PEM, without a password") from error
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, (ec.SECP256R1, ec.SECP384R1)):
        return key
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= LEAST_RSA_BITS:
        return key
    raise WeftError(
        f"{path} is not a key that issuers may have",
        f"make an issuer with an ECDSA P-256 or P-384 key, or RSA of at least {LEAST_RSA_BITS} bits",
    )


def _may_sign(path: Path, issuer: x509.Certificate) -> None:
    """Proxies refuse what a certificate signed that is not for signing."""
    constraints, usage = _extension(issuer, x509.BasicConstraints), _extension(issuer, x509.KeyUsage)
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        raise WeftError(f"{path} is not a certificate that may sign others", "with cert-manager: `isCA: true`")


def _extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _leads_to(
    layout: Layout, chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], now: datetime
) -> None:
    for lower, upper in pairwise(chain):
        if not signed(lower, upper):
            raise WeftError(
                f"{layout.certificate}: its certificates do not follow from each other",
                "the issuer comes first, then the one that signed it, and so on",
            )
    anchor = next((each for each in anchors if chain[-1] == each or signed(chain[-1], each)), None)
    if anchor is None:
        raise WeftError(
            f"no anchor in {layout.anchors} signed {layout.certificate}",
            "add the anchor everywhere before the issuer: `weft identity rotate-anchors` does it in this order",
        )
    for path, each in (*((layout.certificate, each) for each in chain), (layout.anchors, anchor)):
        if each.not_valid_after_utc <= now:
            raise WeftError(f"{path} has expired on {each.not_valid_after_utc:%Y-%m-%d %H:%M:%SZ}", "replace it")
        if each.not_valid_before_utc > now + Lifetimes().skew:
            raise WeftError(
                f"{path} is not valid before {each.not_valid_before_utc:%Y-%m-%d %H:%M:%SZ}",
                "look at this machine's clock, or wait",
            )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        hint = f"the directory holds {ANCHORS} and either {ISSUER} and {ISSUER_KEY} or {TLS_CERTIFICATE} and {TLS_KEY}"
        raise WeftError(f"cannot read {path}: {error.strerror}", hint) from error
    if len(content) > SIZE_LIMIT:
        raise WeftError(f"{path} is larger than {SIZE_LIMIT} bytes", "it is not what it should be")
    return content


LEAST_RSA_BITS = 2048
SIZE_LIMIT = 4 << 20
