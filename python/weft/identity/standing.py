"""What a proxy says of its own identity, and whom a step of a rotation would cut off. Pure.

A proxy answers `/identity.json` on its admin port with its certificate chain and the anchors that it trusts.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from weft.identity.files import signed


@dataclass(frozen=True, slots=True)
class Standing:
    """`chain` has the leaf first, and is empty while there is none."""

    identity: str
    chain: tuple[x509.Certificate, ...]
    anchors: tuple[x509.Certificate, ...]

    def trusts(self, anchor: x509.Certificate) -> bool:
        """Whether it accepts certificates under this anchor."""
        return anchor in self.anchors

    def bears(self, issuer: x509.Certificate) -> bool:
        """Whether its certificate in force was signed by this issuer."""
        return bool(self.chain) and signed(self.chain[0], issuer)

    def under(self, anchor: x509.Certificate) -> bool:
        """Whether its certificate in force leads to this anchor."""
        return bool(self.chain) and (signed(self.chain[-1], anchor) or self.chain[-1] == anchor)


@dataclass(frozen=True, slots=True)
class Demand:
    """What a step needs of everybody; what is empty is not asked for."""

    trusts: tuple[x509.Certificate, ...] = ()
    under: tuple[x509.Certificate, ...] = ()
    signed_by: tuple[x509.Certificate, ...] = ()
    """The issuer first; what leads from it to an anchor may follow."""
    only: tuple[x509.Certificate, ...] = ()

    def met(self, each: Standing) -> bool:
        """Whether a proxy meets it."""
        return (
            all(each.trusts(anchor) for anchor in self.trusts)
            and (not self.under or any(each.under(anchor) for anchor in self.under))
            and (not self.signed_by or each.bears(self.signed_by[0]))
            and (not self.only or set(each.anchors) == set(self.only))
        )


def read(text: str) -> Standing:
    """What a proxy answered. Raises ValueError when it is something else."""
    said = json.loads(text)
    if not isinstance(said, dict):
        raise ValueError("no object")
    chain, anchors = (_certificates(said.get(name)) for name in ("chain", "anchors"))
    return Standing(str(said.get("identity", "")), chain, anchors)


def lacking(standings: Mapping[str, Standing | None], ready: Callable[[Standing], bool]) -> list[str]:
    """Those for whom it is not so, or who do not say."""
    return sorted(key for key, each in standings.items() if each is None or not ready(each))


def names(leaf: x509.Certificate) -> list[str]:
    """Who a certificate says that its bearer is: the SPIFFE URI where it has one, and the DNS-like name."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    uris = found.get_values_for_type(x509.UniformResourceIdentifier)
    return [*uris, *found.get_values_for_type(x509.DNSName)]


def described(certificate: x509.Certificate) -> dict[str, object]:
    """One certificate for people and programs."""
    return {
        "subject": _short(certificate.subject),
        "issuer": _short(certificate.issuer),
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
    }


def pem(certificate: x509.Certificate) -> bytes:
    """The certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _short(name: x509.Name) -> str:
    """The common name, with the generation behind it where there is one."""
    wanted = (NameOID.COMMON_NAME, NameOID.SERIAL_NUMBER)
    return " ".join(str(each.value) for oid in wanted for each in name.get_attributes_for_oid(oid))


def _certificates(written: object) -> tuple[x509.Certificate, ...]:
    texts = written if isinstance(written, list) else []
    return tuple(x509.load_pem_x509_certificate(str(text).encode()) for text in texts)
