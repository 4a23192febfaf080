"""The mesh's certificate authority: trust anchors, an issuer below them, and leaves of a day for workloads.

    create(directory, "cluster.local", now)          # ca.crt (anchors), issuer.crt, issuer.key (0600)
    issuer = load(directory)                         # or WeftError with a hint
    leaf = issuer.issue(csr_der, identity, now)      # or Refused

The anchor's key is thrown away after it signed the issuer: a new issuer needs a new anchor beside the old one.
Certificates and requests travel as DER, files are PEM. Reads no clock.
"""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from weft.lib.errors import WeftError

ANCHORS, ISSUER, ISSUER_KEY = "ca.crt", "issuer.crt", "issuer.key"


class Refused(Exception):
    """A request that gets no certificate. `malformed`: not understood; else it asks for what it may not have."""

    def __init__(self, reason: str, *, malformed: bool) -> None:
        super().__init__(reason)
        self.malformed = malformed


@dataclass(frozen=True, slots=True)
class Leaf:
    """A signed certificate, and those between it and the anchors; all DER."""

    certificate: bytes
    intermediates: tuple[bytes, ...]
    valid_until: datetime


def create(directory: Path, trust_domain: str, now: datetime) -> None:
    """Make anchors for ten years and an issuer for one, in a directory that has none."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (directory / ISSUER_KEY).exists():
        raise WeftError(f"{directory} already has an issuer", "choose another directory, or use the one that is there")
    anchor_key, issuer_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    anchor_name = _name(f"root.weft.{trust_domain}")
    anchor = _sign_authority(anchor_name, anchor_key.public_key(), anchor_name, anchor_key, now, ANCHOR_LIFE, 1)
    issuer_name = _name(f"identity.weft.{trust_domain}")
    issuer = _sign_authority(issuer_name, issuer_key.public_key(), anchor_name, anchor_key, now, ISSUER_LIFE, 0)
    (directory / ANCHORS).write_bytes(_pem(anchor))
    (directory / ISSUER).write_bytes(_pem(issuer))
    key = issuer_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write_private(directory / ISSUER_KEY, key)


def load(directory: Path) -> "Issuer":
    """Load the issuer of a directory, after checking that key, certificate and anchors belong together."""
    try:
        anchors = x509.load_pem_x509_certificates((directory / ANCHORS).read_bytes())
        chain = x509.load_pem_x509_certificates((directory / ISSUER).read_bytes())
        key = serialization.load_pem_private_key((directory / ISSUER_KEY).read_bytes(), None)
    except OSError as error:
        hint = f"the directory holds {ANCHORS}, {ISSUER} and {ISSUER_KEY}"
        raise WeftError(f"cannot read {error.filename}: {error.strerror}", hint) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise WeftError(f"{directory}: {error}", "the three files are PEM, the key without a password") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise WeftError(f"{directory / ISSUER_KEY} is not an elliptic-curve key", "make an ECDSA P-256 issuer")
    if chain[0].public_key() != key.public_key():
        raise WeftError(f"{ISSUER_KEY} is not the key of {ISSUER} in {directory}", "replace both together")
    if not any(_signed(chain[-1], anchor) for anchor in anchors):
        raise WeftError(f"no anchor in {directory / ANCHORS} signed {ISSUER}", "add the anchor before the issuer")
    return Issuer(tuple(anchors), tuple(chain), key)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Signs leaves. `chain` starts with the issuer's own certificate."""

    anchors: tuple[x509.Certificate, ...]
    chain: tuple[x509.Certificate, ...]
    key: ec.EllipticCurvePrivateKey

    @property
    def anchors_pem(self) -> str:
        """Return the trust anchors as PEM text."""
        return b"".join(_pem(each) for each in self.anchors).decode()

    @property
    def valid_until(self) -> datetime:
        """Return the moment after which nothing that this issuer signed is valid."""
        return min(each.not_valid_after_utc for each in self.chain)

    def issue(self, request: bytes, identity: str, now: datetime) -> Leaf:
        """Sign a DER certificate request for exactly one identity, or raise Refused."""
        if self.valid_until <= now:
            raise WeftError("the issuer's certificate has expired", "replace the issuer")
        csr = _checked(request, identity)
        public = csr.public_key()
        end = min(now + LEAF_LIFE + CLOCK_SKEW, self.valid_until)
        usage = x509.KeyUsage(True, False, True, False, False, False, False, False, False)
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))  # a common name ends at 64 characters, identities do not
            .issuer_name(self.chain[0].subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(now - CLOCK_SKEW, self.chain[0].not_valid_before_utc))
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(identity)]), critical=True)
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        between = tuple(_der(each) for each in self.chain if each.subject != each.issuer)
        return Leaf(_der(leaf), between, leaf.not_valid_after_utc)


def _checked(request: bytes, identity: str) -> x509.CertificateSigningRequest:
    """Return the request when it asks for exactly this identity and nothing besides."""
    try:
        csr = x509.load_der_x509_csr(request)
        signed = csr.is_signature_valid
        names = csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        common = [name.value for name in names]
        alternatives = list(csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        alternatives = []
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.DuplicateExtension) as error:
        raise Refused(f"not a certificate request in DER: {error}", malformed=True) from error
    if not signed:
        raise Refused("the request's signature does not match its key", malformed=True)
    if len(alternatives) != 1 or not isinstance(alternatives[0], x509.DNSName):
        raise Refused("the request must have exactly one name, a DNS name", malformed=False)
    if alternatives[0].value != identity:
        raise Refused(f"the request names {alternatives[0].value}, not {identity}", malformed=False)
    if len(common) > 1 or any(name not in ("", identity) for name in common):
        raise Refused("the request's common name must be empty or the identity", malformed=False)
    return csr


def _sign_authority(
    name: x509.Name,
    key: ec.EllipticCurvePublicKey,
    by: x509.Name,
    with_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    life: timedelta,
    depth: int,
) -> x509.Certificate:
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.BasicConstraints(True, depth), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(with_key.public_key()), critical=False)
        .sign(with_key, hashes.SHA256())
    )


def _signed(certificate: x509.Certificate, anchor: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(anchor)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _write_private(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


ANCHOR_LIFE = timedelta(days=3652)
ISSUER_LIFE = timedelta(days=365)
LEAF_LIFE = timedelta(hours=24)
CLOCK_SKEW = timedelta(seconds=20)
