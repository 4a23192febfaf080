"""Signs leaves for workloads.

    issuer = files.load(directory, None, now)        # or WeftError with a hint
    leaf = issuer.issue(csr_der, names, now)         # or Refused

Certificates and requests travel as DER. Reads no clock and no file.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from weft.identity.request import checked
from weft.lib.errors import WeftError

IssuerKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Names:
    """What a leaf bears: always a DNS name, which proxies send as SNI, and in a mesh that speaks SPIFFE a URI too."""

    dns: str
    uri: str = ""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long leaves live, and how far the clocks of two machines may be apart; the latter is added at both ends."""

    leaf: timedelta = timedelta(hours=24)
    skew: timedelta = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A signed certificate, and those between it and the anchors; all DER."""

    certificate: bytes
    intermediates: tuple[bytes, ...]
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class Issuer:
    """Signs leaves. `chain` starts with the issuer's own certificate."""

    anchors: tuple[x509.Certificate, ...]
    chain: tuple[x509.Certificate, ...]
    key: IssuerKey
    lifetimes: Lifetimes = Lifetimes()

    @property
    def valid_until(self) -> datetime:
        """Return the moment after which nothing that this issuer signed is valid."""
        return min(each.not_valid_after_utc for each in self.chain)

    def issue(self, request: bytes, names: Names, now: datetime) -> Leaf:
        """Sign a DER certificate request for exactly one workload, or raise Refused."""
        if self.valid_until <= now:
            raise WeftError(f"the issuer's certificate has expired on {self.valid_until:%Y-%m-%d %H:%M:%SZ}", EXPIRED)
        public = checked(request, names.dns)
        skew, life = self.lifetimes.skew, self.lifetimes.leaf
        usage = x509.KeyUsage(True, False, True, False, False, False, False, False, False)
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        uri = [x509.UniformResourceIdentifier(names.uri)] if names.uri else []
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))  # a common name ends at 64 characters, identities do not
            .issuer_name(self.chain[0].subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(now - skew, self.chain[0].not_valid_before_utc))
            .not_valid_after(min(now + life + skew, self.valid_until))
            .add_extension(x509.SubjectAlternativeName([*uri, x509.DNSName(names.dns)]), critical=True)
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage(both), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        between = tuple(_der(each) for each in self.chain if each.subject != each.issuer)
        return Leaf(_der(leaf), between, leaf.not_valid_after_utc)


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


EXPIRED = "replace it: `weft identity rotate-issuer`, or the files of whoever makes it"
