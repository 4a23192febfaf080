"""Whom a grant lets in: how much a client must prove, and with which names."""

from dataclasses import dataclass
from enum import Enum


class Proof(Enum):
    """What a client must bring."""

    NONE = "none"
    TLS = "tls"
    """Mesh TLS, with or without a certificate of its own."""
    IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class Clients:
    """`identities` and `suffixes` count only where an identity is asked for; an empty suffix means every identity."""

    proof: Proof
    identities: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()


ANYONE = Clients(Proof.NONE)
ANY_TLS = Clients(Proof.TLS)
MESHED = Clients(Proof.IDENTITY, suffixes=("",))


def named(patterns: tuple[str, ...]) -> Clients:
    """Return the clients that written patterns mean: a whole name, `*.SUFFIX`, or `*` for every identity."""
    suffixes = {pattern[2:].lower().rstrip(".") for pattern in patterns if pattern.startswith("*")}
    plain = (pattern for pattern in patterns if not pattern.startswith("*"))
    whole = {pattern if "://" in pattern else pattern.lower().rstrip(".") for pattern in plain}
    return Clients(Proof.IDENTITY, tuple(sorted(whole)), tuple(sorted(suffixes)))
