"""Tokens by which a workload proves its service account: ES256 JWTs of one hour, bound to a pod.

    key = create_key()                                # PEM pair; the private half stays with who mints
    token = mint(key.private, Bearer(...), now)       # text for the workload's token file
    bearer = Verifier(key.public).bearer(token, now)  # or TokenRefused

Reads no clock.
"""

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
    return jwt.encode(claims, private_key.decode(), algorithm="ES256")


class Verifier:
    """Checks tokens against one public key."""

    def __init__(self, public_key: bytes) -> None:
        try:
            key = serialization.load_pem_public_key(public_key)
        except ValueError as error:
            raise WeftError("the token key is not a public key in PEM") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise WeftError("the token key is not an ECDSA P-256 key")
        self._key = key

    def bearer(self, token: str, now: datetime) -> Bearer:
        """Return who carries the token, or raise TokenRefused."""
        try:
            options: jwt.types.Options = {
                "require": ["exp", "sub", "aud"],
                "verify_exp": False,  # time is checked below, against the clock that was handed in
                "verify_nbf": False,
                "verify_iat": False,
            }
            claims = jwt.decode(token, self._key, algorithms=["ES256"], audience=AUDIENCE, options=options)
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
    pod = bound.get("pod") if isinstance(bound, dict) else None
    if not isinstance(pod, dict):
        pod = {}
    return Bearer(parts[2], parts[3], str(pod.get("name", "")), str(pod.get("uid", "")))


def _time(claims: dict[str, object], name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TokenRefused(f"the token's {name} is not a time", malformed=True)
    return float(value)


SKEW = 5.0
