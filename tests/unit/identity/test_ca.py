"""The certificate authority: what it makes, what it signs, what it refuses."""

import stat
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from weft.identity import ca
from weft.lib.errors import WeftError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAME = "web.default.serviceaccount.identity.weft.cluster.local"


@pytest.fixture
def issuer(tmp_path: Path) -> ca.Issuer:
    ca.create(tmp_path / "issuer", "cluster.local", NOW)
    return ca.load(tmp_path / "issuer")


def request(*names: x509.GeneralName, common: str | None = None) -> bytes:
    subject = x509.Name([] if common is None else [x509.NameAttribute(NameOID.COMMON_NAME, common)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


def test_the_key_is_for_its_owner_alone_and_made_once(tmp_path: Path) -> None:
    """Requirement: issuer.key has mode 0600; an issuer that is there is never overwritten."""
    ca.create(tmp_path, "cluster.local", NOW)
    assert stat.S_IMODE((tmp_path / ca.ISSUER_KEY).stat().st_mode) == 0o600
    with pytest.raises(WeftError, match="already has an issuer"):
        ca.create(tmp_path, "cluster.local", NOW)


def test_anchor_and_issuer_live_ten_years_and_one(issuer: ca.Issuer) -> None:
    """Requirement: ECDSA P-256, the anchor for 10 years, the issuer for 1, and a chain that verifies."""
    (anchor,) = issuer.anchors
    assert anchor.not_valid_after_utc - NOW == timedelta(days=3652)
    assert issuer.valid_until - NOW == timedelta(days=365)
    issuer.chain[0].verify_directly_issued_by(anchor)
    assert issuer.anchors_pem.count("BEGIN CERTIFICATE") == 1


def test_a_leaf_is_for_one_name_both_uses_and_a_day(issuer: ca.Issuer) -> None:
    """Requirement: 24 h with 20 s of skew on both sides, digitalSignature and keyEncipherment, server and client."""
    leaf = issuer.issue(request(x509.DNSName(NAME)), NAME, NOW + timedelta(hours=1))
    read = x509.load_der_x509_certificate(leaf.certificate)
    start = NOW + timedelta(hours=1)
    assert read.not_valid_before_utc == start - timedelta(seconds=20)
    assert read.not_valid_after_utc == leaf.valid_until == start + timedelta(hours=24, seconds=20)
    usage = read.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment, usage.key_cert_sign) == (True, True, False)
    assert len(list(read.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)) == 2
    assert read.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical
    (between,) = leaf.intermediates
    assert between == issuer.chain[0].public_bytes(serialization.Encoding.DER)


def test_a_leaf_never_outlives_its_issuer(issuer: ca.Issuer) -> None:
    """Requirement: near the issuer's end leaves are shorter; after it there are none."""
    late = issuer.valid_until - timedelta(hours=1)
    assert issuer.issue(request(x509.DNSName(NAME)), NAME, late).valid_until == issuer.valid_until
    with pytest.raises(WeftError, match="expired"):
        issuer.issue(request(x509.DNSName(NAME)), NAME, issuer.valid_until)


@pytest.mark.parametrize("common", [None, NAME])
def test_a_common_name_may_be_empty_or_the_identity(issuer: ca.Issuer, common: str | None) -> None:
    """Requirement: both forms of the request are signed."""
    assert issuer.issue(request(x509.DNSName(NAME), common=common), NAME, NOW).certificate


@pytest.mark.parametrize(
    ("csr", "malformed"),
    [
        (b"", True),
        (b"-----BEGIN CERTIFICATE REQUEST-----", True),
        (request(x509.DNSName(NAME))[:-1] + b"\x00", True),
        (request(), False),
        (request(x509.DNSName("other")), False),
        (request(x509.DNSName(NAME), x509.DNSName("other")), False),
        (request(x509.DNSName(NAME), x509.DNSName(NAME)), False),
        (request(x509.IPAddress(IPv4Address("10.0.0.1"))), False),
        (request(x509.DNSName(NAME), x509.UniformResourceIdentifier("spiffe://a/b")), False),
        (request(x509.DNSName(NAME), x509.RFC822Name("a@b.c")), False),
        (request(x509.DNSName(NAME), common="rcgen self signed cert"), False),
    ],
)
def test_a_request_that_asks_for_anything_else_is_refused(issuer: ca.Issuer, csr: bytes, malformed: bool) -> None:
    """Requirement: exactly one DNS name, the identity; a broken request is told apart from a wrong one."""
    with pytest.raises(ca.Refused) as refused:
        issuer.issue(csr, NAME, NOW)
    assert refused.value.malformed is malformed


def test_files_that_do_not_belong_together_are_not_loaded(tmp_path: Path) -> None:
    """Requirement: a key of another issuer, foreign anchors, a missing file: each is said, with a hint."""
    one, two = tmp_path / "one", tmp_path / "two"
    ca.create(one, "cluster.local", NOW)
    ca.create(two, "cluster.local", NOW)
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for name, source in ((ca.ANCHORS, two), (ca.ISSUER, one), (ca.ISSUER_KEY, one)):
        (mixed / name).write_bytes((source / name).read_bytes())
    with pytest.raises(WeftError, match="no anchor"):
        ca.load(mixed)
    (mixed / ca.ISSUER_KEY).write_bytes((two / ca.ISSUER_KEY).read_bytes())
    with pytest.raises(WeftError, match="is not the key of"):
        ca.load(mixed)
    (mixed / ca.ISSUER_KEY).write_text("no key")
    with pytest.raises(WeftError):
        ca.load(mixed)
    (mixed / ca.ISSUER).unlink()
    with pytest.raises(WeftError, match="cannot read"):
        ca.load(mixed)
