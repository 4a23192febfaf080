"""Tokens: what is minted is verified, and nothing else is."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from weft.identity.tokens import AUDIENCE, Bearer, KeyPair, TokenRefused, Verifier, create_key, key_id, mint
from weft.lib.errors import WeftError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = create_key()
BEARER = Bearer("default", "web", "web-0", "uid-1")
CLAIMS = {"aud": [AUDIENCE], "sub": "system:serviceaccount:default:web", "exp": NOW.timestamp() + 60}


def name_of(key: KeyPair) -> str:
    public = load_pem_public_key(key.public)
    assert isinstance(public, EllipticCurvePublicKey)
    return key_id(public)


KID = {"kid": name_of(KEY)}


def signed(**changes: object) -> str:
    claims = {key: value for key, value in {**CLAIMS, **changes}.items() if value is not None}
    return jwt.encode(claims, KEY.private.decode(), algorithm="ES256", headers=KID)


def test_a_minted_token_proves_its_bearer() -> None:
    """Requirement: namespace, service account and pod come back; the claims are those of the contract."""
    token = mint(KEY.private, BEARER, NOW)
    assert Verifier(KEY.public).bearer(token, NOW) == BEARER
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["iss"], claims["aud"], claims["exp"] - claims["iat"]) == ("weft", ["identity.l5d.io"], 3600)
    assert claims["kubernetes.io"]["pod"] == {"name": "web-0", "uid": "uid-1"}


@pytest.mark.parametrize(
    ("token", "malformed"),
    [
        ("", True),
        ("not.a.token", True),
        (mint(create_key().private, BEARER, NOW), False),
        (signed(aud=["other"]), False),
        (signed(aud=None), False),
        (signed(exp=None), False),
        (signed(exp=NOW.timestamp() - 60), False),
        (signed(nbf=NOW.timestamp() + 60), False),
        (signed(exp="soon"), True),
        (signed(sub="someone"), True),
        (signed(sub="system:serviceaccount::web"), True),
        (signed(**{"kubernetes.io": {"namespace": "other"}}), False),
        (jwt.encode(CLAIMS, KEY.private.decode(), algorithm="ES256"), False),
        (jwt.encode(CLAIMS, KEY.private.decode(), algorithm="ES256", headers={"kid": "another"}), False),
        (jwt.encode(CLAIMS, create_key().private.decode(), algorithm="ES256", headers=KID), False),
        (jwt.encode(CLAIMS, None, algorithm="none", headers=KID), False),
        (jwt.encode(CLAIMS, "x" * 32, algorithm="HS256", headers=KID), False),
    ],
)
def test_anything_else_proves_nothing(token: str, malformed: bool) -> None:
    """Requirement: key id, signature, algorithm, audience, times, subject and namespace are all checked."""
    with pytest.raises(TokenRefused) as refused:
        Verifier(KEY.public).bearer(token, NOW)
    assert refused.value.malformed is malformed


def test_a_token_ends_after_its_hour() -> None:
    """Requirement: times are measured with the clock that is handed in."""
    token = mint(KEY.private, BEARER, NOW)
    assert Verifier(KEY.public).bearer(token, NOW + timedelta(minutes=59)) == BEARER
    with pytest.raises(TokenRefused, match="expired"):
        Verifier(KEY.public).bearer(token, NOW + timedelta(minutes=61))


def test_two_keys_are_in_force_while_one_replaces_the_other() -> None:
    """Requirement: a file with two public keys takes the tokens of both, each by its key id."""
    other = create_key()
    verifier = Verifier(KEY.public + other.public)
    for key in (KEY, other):
        assert verifier.bearer(mint(key.private, BEARER, NOW), NOW) == BEARER


@pytest.mark.parametrize("key", [b"", b"-----BEGIN PUBLIC KEY-----", create_key().private])
def test_a_key_that_cannot_verify_is_said_at_the_start(key: bytes) -> None:
    """Requirement: a wrong --token-key is an error of the command line, not of every request."""
    with pytest.raises(WeftError, match="token key"):
        Verifier(key)
