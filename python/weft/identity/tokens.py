"""Tokens by which a workload proves its service account: ES256 JWTs of one hour, bound to a pod.

    key = create_key()                                # PEM pair; the private half stays with who mints
    token = mint(key.private, Bearer(...), now)       # text for the workload's token file
    bearer = Verifier(key.public).bearer(token, now)  # or TokenRefused

A token names its key (`kid`), so that two keys can be in force while one replaces the other. Reads no clock.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from weft.lib.errors import WeftError

AUDIENCE = "identity.l5d.io"
ISSUER = "weft"
LIFE = timedelta(hours=1)


class TokenRefused(Exception):
    """A token that proves nothing. `malformed`: it is not a token at all; else it is not valid, here or now."""

    def __init__(self, reason: str, *, malformed: bool) -> None:
        super().__init__(reason)
        self.malformed = malformed


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Both halves as PEM."""

    private: bytes
    public: bytes


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who carries a token. Pod name and uid may be empty in a token made elsewhere."""

    namespace: str
    service_account: str
    pod: str = ""
    pod_uid: str = ""


def create_key() -> KeyPair:
    """Make a new P-256 key pair."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(private, public)


def mint(private_key: bytes, bearer: Bearer, now: datetime, life: timedelta = LIFE) -> str:
    """Make a token for a pod, valid from now on."""
    start = int(now.timestamp())
    claims = {
        "iss": ISSUER,
        "aud": [AUDIENCE],
        "sub": f"system:serviceaccount:{bearer.namespace}:{bearer.service_account}",
        "iat": start,
        "nbf": start,
        "exp": start + int(life.total_seconds()),
        "kubernetes.io": {
            "namespace": bearer.namespace,
            "pod": {"name": bearer.pod, "uid": bearer.pod_uid},
            "serviceaccount": {"name": bearer.service_account},
        },
    }
    private = serialization.load_pem_private_key(private_key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return jwt.encode(claims, private, algorithm="ES256", headers={"kid": key_id(private.public_key())})


def is_due(minted: datetime, now: datetime) -> bool:
    """Whether a token that was made then is to be followed by another one.

    By the clock on the wall, which is what its times are held against: it may be set forward, go on while the machine
    sleeps, or be set back to before the token.
    """
    return not -timedelta(seconds=SKEW) <= now - minted < DUE


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """The name of a key: a digest of it, so that nobody has to hand out names."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")


class Verifier:
    """Checks tokens against the public keys of a PEM file, one or more."""

    def __init__(self, public_keys: bytes) -> None:
        self._keys: dict[str, ec.EllipticCurvePublicKey] = {}
        for block in _PUBLIC_KEY.findall(public_keys) or [public_keys]:
            try:
                key = serialization.load_pem_public_key(block)
            except ValueError as error:
                raise WeftError("the token key is not a public key in PEM") from error
            if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
                raise WeftError("the token key is not an ECDSA P-256 key")
            self._keys[key_id(key)] = key

    def bearer(self, token: str, now: datetime) -> Bearer:
        """Return who carries the token, or raise TokenRefused."""
        try:
            options: jwt.types.Options = {
                "require": ["exp", "sub", "aud"],
                "verify_exp": False,  # time is checked below, against the clock that was handed in
                "verify_nbf": False,
                "verify_iat": False,
            }
            key = self._keys.get(str(jwt.get_unverified_header(token).get("kid", "")))
            if key is None:
                raise TokenRefused("the token names a key that is not the mesh's", malformed=False)
            claims = jwt.decode(token, key, algorithms=["ES256"], audience=AUDIENCE, options=options)
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError) as error:
            raise TokenRefused("the token was not signed by the mesh's token key", malformed=False) from error
        except jwt.DecodeError as error:
            raise TokenRefused("the token is not a JWT", malformed=True) from error
        except jwt.InvalidTokenError as error:
            raise TokenRefused(f"the token is not valid: {error}", malformed=False) from error
        moment = now.timestamp()
        if moment >= _time(claims, "exp") + SKEW:
            raise TokenRefused("the token has expired", malformed=False)
        if "nbf" in claims and moment < _time(claims, "nbf") - SKEW:
            raise TokenRefused("the token is not valid yet", malformed=False)
        return _bearer(claims)


def _bearer(claims: dict[str, object]) -> Bearer:
    parts = str(claims["sub"]).split(":")
    if len(parts) != 4 or parts[:2] != ["system", "serviceaccount"] or not all(parts):
        raise TokenRefused("the token's subject is not a service account", malformed=True)
    bound = claims.get("kubernetes.io")
    bound = bound if isinstance(bound, dict) else {}
    pod = bound.get("pod")
    pod = pod if isinstance(pod, dict) else {}
    if bound.get("namespace", parts[2]) != parts[2]:
        raise TokenRefused(f"the token's workload is not in namespace {parts[2]}", malformed=False)
    return Bearer(parts[2], parts[3], str(pod.get("name", "")), str(pod.get("uid", "")))


def _time(claims: dict[str, object], name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TokenRefused(f"the token's {name} is not a time", malformed=True)
    return float(value)


_PUBLIC_KEY = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)
SKEW = 5.0
DUE = LIFE * 2 / 3
