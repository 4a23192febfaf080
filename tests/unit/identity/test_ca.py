"""The certificate authority: what it makes and what it signs."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from weft.identity import authority, files
from weft.identity.ca import Issuer, Lifetimes, Names
from weft.lib.errors import WeftError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAME = "web.default.serviceaccount.identity.weft.cluster.local"


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    authority.create(tmp_path / "issuer", "cluster.local", NOW)
    return files.load(tmp_path / "issuer", None, NOW)


def request() -> bytes:
    names = x509.SubjectAlternativeName([x509.DNSName(NAME)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


def test_the_key_is_for_its_owner_alone_and_made_once(tmp_path: Path) -> None:
    """Requirement: issuer.key has mode 0600, the anchor's key is in no file; an issuer is never overwritten."""
    authority.create(tmp_path, "cluster.local", NOW)
    assert stat.S_IMODE((tmp_path / files.ISSUER_KEY).stat().st_mode) == 0o600
    keys = [path.name for path in tmp_path.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert keys == [files.ISSUER_KEY]
    with pytest.raises(WeftError, match="already has an issuer"):
        authority.create(tmp_path, "cluster.local", NOW)


def test_anchor_and_issuer_live_ten_years_and_one(issuer: Issuer) -> None:
    """Requirement: ECDSA P-256, the anchor for 10 years, the issuer for 1, and a chain that verifies."""
    (anchor,) = issuer.anchors
    assert anchor.not_valid_after_utc - NOW == timedelta(days=3652)
    assert issuer.valid_until - NOW == timedelta(days=365)
    issuer.chain[0].verify_directly_issued_by(anchor)


def test_an_anchor_signs_further_issuers_but_none_that_outlives_it() -> None:
    """Requirement: issuers of one anchor differ in name and key; near the anchor's end they are shorter."""
    made = authority.Authority.make("cluster.local", NOW)
    late = made.anchor.not_valid_after_utc - timedelta(days=1)
    first, second = (x509.load_pem_x509_certificate(made.issuer(now).certificate) for now in (NOW, late))
    assert first.subject != second.subject
    assert first.public_key() != second.public_key()
    second.verify_directly_issued_by(made.anchor)
    assert second.not_valid_after_utc == made.anchor.not_valid_after_utc


def test_a_leaf_is_for_one_name_both_uses_and_a_day(issuer: Issuer) -> None:
    """Requirement: 24 h with 20 s of skew on both sides, digitalSignature and keyEncipherment, server and client."""
    leaf = issuer.issue(request(), Names(NAME), NOW + timedelta(hours=1))
    read = x509.load_der_x509_certificate(leaf.certificate)
    start = NOW + timedelta(hours=1)
    assert read.not_valid_before_utc == start - timedelta(seconds=20)
    assert read.not_valid_after_utc == leaf.valid_until == start + timedelta(hours=24, seconds=20)
    usage = read.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment, usage.key_cert_sign) == (True, True, False)
    assert len(list(read.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)) == 2
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical
    assert list(names.value) == [x509.DNSName(NAME)]
    (between,) = leaf.intermediates
    assert between == issuer.chain[0].public_bytes(serialization.Encoding.DER)


def test_lifetime_and_skew_are_settings(tmp_path: Path) -> None:
    """Requirement: both are configurable, and the skew counts at both ends."""
    authority.create(tmp_path, "cluster.local", NOW)
    lifetimes = Lifetimes(timedelta(minutes=10), timedelta(seconds=5))
    start = NOW + timedelta(hours=1)
    leaf = files.load(tmp_path, None, NOW, lifetimes).issue(request(), Names(NAME), start)
    read = x509.load_der_x509_certificate(leaf.certificate)
    assert start - read.not_valid_before_utc == timedelta(seconds=5)
    assert read.not_valid_after_utc - start == timedelta(minutes=10, seconds=5)


def test_a_leaf_in_spiffe_form_bears_the_uri_and_the_name_for_sni(issuer: Issuer) -> None:
    """Requirement: exactly one URI, as SPIFFE asks, beside the DNS name by which clients find the server."""
    uri = "spiffe://cluster.local/ns/default/sa/web"
    leaf = x509.load_der_x509_certificate(issuer.issue(request(), Names(NAME, uri), NOW).certificate)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier(uri), x509.DNSName(NAME)]


def test_a_leaf_never_outlives_its_issuer(issuer: Issuer) -> None:
    """Requirement: near the issuer's end leaves are shorter; after it there are none."""
    late = issuer.valid_until - timedelta(hours=1)
    assert issuer.issue(request(), Names(NAME), late).valid_until == issuer.valid_until
    with pytest.raises(WeftError, match="expired"):
        issuer.issue(request(), Names(NAME), issuer.valid_until)
