"""Issuers in files: both layouts, everything that can be wrong with them, and what happens when they change."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from weft.identity import authority, files
from weft.identity.ca import IssuerKey, Lifetimes
from weft.lib.errors import WeftError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def given(directory: Path, key: IssuerKey, **changes: object) -> Path:
    """A self-signed authority that is its own anchor, as cert-manager writes one; `ca` and `end` can be wrong."""
    directory.mkdir()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "given")])
    ending = changes.get("end", NOW + timedelta(days=30))
    assert isinstance(ending, datetime)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=60))
        .not_valid_after(ending)
        .add_extension(x509.BasicConstraints(bool(changes.get("ca", True)), None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (directory / "tls.crt").write_bytes(pem)
    (directory / "ca.crt").write_bytes(pem)
    plain = serialization.NoEncryption()
    (directory / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    )
    return directory


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
    ],
)
def test_a_secret_of_cert_manager_is_an_issuer(tmp_path: Path, key: IssuerKey) -> None:
    """Requirement: tls.crt, tls.key and ca.crt are read as they are, with the kinds of key that cert-manager makes."""
    issuer = files.load(given(tmp_path / "secret", key), None, NOW)
    assert issuer.valid_until == NOW + timedelta(days=30)


def test_anchors_may_be_a_file_of_their_own(tmp_path: Path) -> None:
    """Requirement: the bundle may hold more than the issuer's own anchor, and must hold that."""
    ours, other = tmp_path / "ours", tmp_path / "other"
    one, two = (authority.create(each, "cluster.local", NOW) for each in (ours, other))
    bundle = tmp_path / "bundle.crt"
    bundle.write_bytes(two.anchor_pem + one.anchor_pem)
    assert len(files.load(ours, bundle, NOW).anchors) == 2
    bundle.write_bytes(two.anchor_pem)
    with pytest.raises(WeftError, match="no anchor"):
        files.load(ours, bundle, NOW)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no certificate": (lambda at: (at / "issuer.crt").unlink(), "cannot read .*issuer.crt"),
    "no key": (lambda at: (at / "issuer.key").unlink(), "cannot read .*issuer.key"),
    "no anchors": (lambda at: (at / "ca.crt").unlink(), "cannot read .*ca.crt"),
    "certificate is no PEM": (lambda at: (at / "issuer.crt").write_text("?"), "issuer.crt holds no usable certificate"),
    "key is no PEM": (lambda at: (at / "issuer.key").write_text("?"), "issuer.key holds no usable key"),
    "anchors are no PEM": (lambda at: (at / "ca.crt").write_text("?"), "ca.crt holds no usable certificate"),
    "another key": (
        lambda at: (at / "issuer.key").write_bytes(authority.Authority.make("x", NOW).issuer(NOW).key),
        "issuer.key is not the key of .*issuer.crt",
    ),
    "weak key": (
        lambda at: (at / "issuer.key").write_bytes(
            ec.generate_private_key(ec.SECP192R1()).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        ),
        "issuer.key is not a key that issuers may have",
    ),
    "another anchor": (
        lambda at: (at / "ca.crt").write_bytes(authority.Authority.make("x", NOW).anchor_pem),
        "no anchor in .*ca.crt signed .*issuer.crt",
    ),
    "a chain that breaks": (
        lambda at: (at / "issuer.crt").write_bytes(
            (at / "issuer.crt").read_bytes() + authority.Authority.make("x", NOW).anchor_pem
        ),
        "issuer.crt: its certificates do not follow",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_said_and_the_last_good_issuer_stays(tmp_path: Path, what: str) -> None:
    """Requirement: the error names the file and the reason and has a hint; certificates go on being issued."""
    breaks, words = BROKEN[what]
    authority.create(tmp_path / "issuer", "cluster.local", NOW)
    keeper = files.InForce(tmp_path / "issuer", None, Lifetimes(), NOW)
    before = keeper.look(NOW)
    breaks(tmp_path / "issuer")
    assert keeper.look(NOW) is before
    assert keeper.problem is not None
    assert keeper.problem.hint
    with pytest.raises(WeftError, match=words) as problem:
        files.load(tmp_path / "issuer", None, NOW)
    assert str(problem.value) == str(keeper.problem)


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (NOW + timedelta(days=400), "issuer.crt has expired on 2027-01-01"),
        (NOW - timedelta(days=2), "issuer.crt is not valid before 2025-12-31"),
    ],
)
def test_an_issuer_out_of_its_time_is_not_loaded(tmp_path: Path, moment: datetime, words: str) -> None:
    """Requirement: an expired issuer, or one of the future, is refused with the date."""
    authority.create(tmp_path / "issuer", "cluster.local", NOW)
    with pytest.raises(WeftError, match=words):
        files.load(tmp_path / "issuer", None, moment)


def test_a_certificate_that_may_not_sign_is_not_loaded(tmp_path: Path) -> None:
    """Requirement: an issuer is a CA; proxies would refuse all that a leaf signs."""
    with pytest.raises(WeftError, match="may sign others"):
        files.load(given(tmp_path / "secret", ec.generate_private_key(ec.SECP256R1()), ca=False), None, NOW)


def test_a_new_issuer_is_loaded_when_its_files_are_complete(tmp_path: Path) -> None:
    """Requirement: between the first and the last file of a new issuer the old one signs; then the new one does."""
    made = authority.create(tmp_path / "issuer", "cluster.local", NOW)
    keeper = files.InForce(tmp_path / "issuer", None, Lifetimes(), NOW)
    before, pair = keeper.look(NOW), made.issuer(NOW + timedelta(seconds=1))
    (tmp_path / "issuer" / files.ISSUER_KEY).write_bytes(pair.key)
    assert keeper.look(NOW) is before
    (tmp_path / "issuer" / files.ISSUER).write_bytes(pair.certificate)
    assert keeper.look(NOW).chain[0] == x509.load_pem_x509_certificate(pair.certificate)
    assert keeper.problem is None


def test_an_issuer_of_the_future_comes_into_force_when_its_time_has_come(tmp_path: Path) -> None:
    """Requirement: nothing has to be written again for it."""
    made = authority.create(tmp_path / "issuer", "cluster.local", NOW)
    keeper = files.InForce(tmp_path / "issuer", None, Lifetimes(), NOW)
    later = NOW + timedelta(days=2)
    authority.write_pair(tmp_path / "issuer", made.issuer(later))
    before = keeper.look(NOW)
    assert keeper.problem is not None
    assert keeper.look(later) is not before


def test_a_secret_that_is_replaced_by_a_link_is_loaded(tmp_path: Path) -> None:
    """Requirement: Kubernetes replaces a mounted Secret by moving a symbolic link; that is noticed too."""
    for number in (1, 2):
        given(tmp_path / f"secret-{number}", ec.generate_private_key(ec.SECP256R1()))
    link = tmp_path / "data"
    link.symlink_to("secret-1")
    keeper = files.InForce(link, None, Lifetimes(), NOW)
    (tmp_path / "fresh").symlink_to("secret-2")
    (tmp_path / "fresh").rename(link)
    assert keeper.look(NOW).chain == files.load(tmp_path / "secret-2", None, NOW).chain
    shutil.rmtree(tmp_path / "secret-2")
    assert keeper.look(NOW).chain[0].public_key() == keeper.issuer.key.public_key()
    assert keeper.problem is not None
