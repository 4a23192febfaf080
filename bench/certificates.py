"""Certificates for the peers: one authority and one ECDSA P-256 leaf for each side, like the mesh's own."""

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER_NAME = "b.test"


def make(directory: Path) -> None:
    """Write ca.crt and, for sides a (outbound) and b (inbound): .crt, .key and both in .pem."""
    authority = ec.generate_private_key(ec.SECP256R1())
    root = _certificate("bench authority", authority, "bench authority", authority, leaf=False)
    (directory / "ca.crt").write_bytes(_pem(root))
    for side in ("a", "b"):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _pem(_certificate(f"{side}.test", key, "bench authority", authority, leaf=True))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (directory / f"{side}.crt").write_bytes(certificate)
        (directory / f"{side}.key").write_bytes(private)
        (directory / f"{side}.pem").write_bytes(certificate + private)


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey, *, leaf: bool
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=not leaf, path_length=None), critical=True)
    )
    if leaf:
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
