"""Makes trust anchors and the issuers below them.

    authority = Authority.make("cluster.local", now)     # an anchor; its key is in this value and nowhere else
    pair = authority.issuer(now)                         # certificate and key of an issuer that it signed
    create(directory, "cluster.local", now)              # both, as files that `files.load` reads

Reads no clock.
"""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from weft.identity import files
from weft.lib.errors import WeftError


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate (with those that lead to an anchor) and its key, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Authority:
    """One trust anchor with its key."""

    anchor: x509.Certificate
    _key: ec.EllipticCurvePrivateKey
    _trust_domain: str

    @staticmethod
    def make(trust_domain: str, now: datetime) -> "Authority":
        """A new anchor for ten years."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"root.weft.{trust_domain}", now)
        anchor = _sign(name, key.public_key(), name, key, now, now + ANCHOR_LIFE, 1)
        return Authority(anchor, key, trust_domain)

    @property
    def anchor_pem(self) -> bytes:
        """The anchor's certificate as PEM."""
        return self.anchor.public_bytes(serialization.Encoding.PEM)

    def issuer(self, now: datetime) -> Pair:
        """A new issuer for a year, or for what the anchor has left."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"identity.weft.{self._trust_domain}", now)
        end = min(now + ISSUER_LIFE, self.anchor.not_valid_after_utc)
        certificate = _sign(name, key.public_key(), self.anchor.subject, self._key, now, end, 0)
        return Pair(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )


def create(directory: Path, trust_domain: str, now: datetime) -> Authority:
    """Make an anchor and an issuer in a directory that has none. The anchor's key is not written anywhere."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (directory / files.ISSUER_KEY).exists():
        raise WeftError(f"{directory} already has an issuer", "choose another directory, or use the one that is there")
    authority = Authority.make(trust_domain, now)
    (directory / files.ANCHORS).write_bytes(authority.anchor_pem)
    write_pair(directory, authority.issuer(now))
    return authority


def write_pair(directory: Path, pair: Pair) -> None:
    """Put an issuer into a directory, each file by rename; the key, useless without its certificate, comes first."""
    for name, content, mode in ((files.ISSUER_KEY, pair.key, 0o600), (files.ISSUER, pair.certificate, 0o644)):
        fresh = directory / f".{name}.new"
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        fresh.rename(directory / name)


def _sign(
    name: x509.Name,
    key: ec.EllipticCurvePublicKey,
    by: x509.Name,
    with_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    end: datetime,
    depth: int,
) -> x509.Certificate:
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(True, depth), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(with_key.public_key()), critical=False)
        .sign(with_key, hashes.SHA256())
    )


def _name(common: str, now: datetime) -> x509.Name:
    """A name that tells two generations apart: verifiers look for an issuer by name first."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common[:64]),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, f"{now:%Y%m%d%H%M%S%f}"),
        ]
    )


BACKDATED = timedelta(days=1)
"""A clock that was wrong when the mesh started and is set back leaves an authority that is valid already."""
ANCHOR_LIFE = timedelta(days=3652)
ISSUER_LIFE = timedelta(days=365)
