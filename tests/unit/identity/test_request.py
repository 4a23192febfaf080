"""Certificate requests: the one form that is signed, and everything that is not."""

from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from weft.identity.request import Refused, checked

NAME = "web.default.serviceaccount.identity.weft.cluster.local"
EC_KEY = ec.generate_private_key(ec.SECP256R1())
CertificateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def request(*names: x509.GeneralName, common: str | None = None, key: CertificateKey = EC_KEY) -> bytes:
    subject = x509.Name([] if common is None else [x509.NameAttribute(NameOID.COMMON_NAME, common)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("common", [None, NAME])
@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_one_name_and_no_other_is_signed(common: str | None, curve: ec.EllipticCurve) -> None:
    """Requirement: a common name may be empty or the identity; the key is on P-256 or P-384."""
    key = ec.generate_private_key(curve)
    assert checked(request(x509.DNSName(NAME), common=common, key=key), NAME) == key.public_key()


@pytest.mark.parametrize(
    ("csr", "malformed"),
    [
        (b"", True),
        (b"-----BEGIN CERTIFICATE REQUEST-----", True),
        (request(x509.DNSName(NAME))[:-1] + b"\x00", True),
        (request(), False),
        (request(x509.DNSName("other")), False),
        (request(x509.DNSName(NAME.upper())), False),
        (request(x509.DNSName("*." + NAME.partition(".")[2])), False),
        (request(x509.DNSName(NAME), x509.DNSName("other")), False),
        (request(x509.DNSName(NAME), x509.DNSName(NAME)), False),
        (request(x509.IPAddress(IPv4Address("10.0.0.1"))), False),
        (request(x509.DNSName(NAME), x509.UniformResourceIdentifier("spiffe://a/b")), False),
        (request(x509.UniformResourceIdentifier("spiffe://a/b")), False),
        (request(x509.DNSName(NAME), x509.RFC822Name("a@b.c")), False),
        (request(x509.DNSName(NAME), common="rcgen self signed cert"), False),
        (request(x509.DNSName(NAME), key=rsa.generate_private_key(65537, 2048)), False),
        (request(x509.DNSName(NAME), key=ec.generate_private_key(ec.SECP521R1())), False),
    ],
)
def test_a_request_that_asks_for_anything_else_is_refused(csr: bytes, malformed: bool) -> None:
    """Requirement: exactly one DNS name, the identity; a broken request is told apart from a wrong one."""
    with pytest.raises(Refused) as refused:
        checked(csr, NAME)
    assert refused.value.malformed is malformed
