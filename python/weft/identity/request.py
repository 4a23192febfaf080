"""Which certificate requests are signed: those that ask for exactly the identity that was proven and no more.

Pure. Whatever else a request may hold (extensions, a purpose) is never looked at: leaves are made from nothing.
"""

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Refused(Exception):
    """A request that gets no certificate. `malformed`: not understood; else it asks for what it may not have."""

    def __init__(self, reason: str, *, malformed: bool) -> None:
        super().__init__(reason)
        self.malformed = malformed


def checked(request: bytes, name: str) -> ec.EllipticCurvePublicKey:
    """Return the key of a DER request for this DNS name alone, or raise Refused."""
    try:
        csr = x509.load_der_x509_csr(request)
        signed = csr.is_signature_valid
        common = [each.value for each in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        alternatives = list(csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        key = csr.public_key()
    except x509.ExtensionNotFound:
        raise Refused("the request must have exactly one name, a DNS name", malformed=False) from None
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.DuplicateExtension) as error:
        raise Refused(f"not a certificate request in DER: {error}", malformed=True) from error
    if not signed:
        raise Refused("the request's signature does not match its key", malformed=True)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, CURVES):
        raise Refused("the request's key must be ECDSA over P-256 or P-384", malformed=False)
    if len(alternatives) != 1 or not isinstance(alternatives[0], x509.DNSName):
        raise Refused("the request must have exactly one name, a DNS name", malformed=False)
    if alternatives[0].value != name:
        raise Refused(f"the request names {alternatives[0].value}, not {name}", malformed=False)
    if len(common) > 1 or any(each not in ("", name) for each in common):
        raise Refused("the request's common name must be empty or the identity", malformed=False)
    return key


CURVES = (ec.SECP256R1, ec.SECP384R1)
"""Those that every proxy of the mesh can verify, ours and Linkerd's, in its FIPS build too."""
