"""What the user chose for a mesh beside its documents: how `weft up` was called, handed on to where it matters."""

from dataclasses import asdict, dataclass

from weft.local.plan import TRUST_DOMAIN, Replica
from weft.model.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All plain values: they travel as JSON to the supervisor."""

    allow_request_headers: bool = False
    issuer_directory: str = ""
    """Absolute, or empty: the mesh makes its own issuer."""
    identity_form: str = "dns"
    issuance_lifetime: str = "24h"
    egress: str = "closed"
    """Of workloads that do not say theirs."""

    @staticmethod
    def read(written: object) -> "Options":
        """What `written` made."""
        return Options(**written) if isinstance(written, dict) else Options()

    def written(self) -> dict[str, object]:
        """As plain values."""
        return asdict(self)

    def up(self) -> tuple[str, ...]:
        """As options of `weft up`."""
        issuer = ("--issuer-dir", self.issuer_directory) if self.issuer_directory else ()
        return (*self._common(), *issuer, "--egress", self.egress)

    def control_plane(self) -> tuple[str, ...]:
        """As options of `weft control-plane`."""
        return self._common()

    def identity(self, replica: Replica) -> str:
        """Who a replica is to others."""
        if self.identity_form != "spiffe":
            return replica.identity
        return Settings(trust_domain=TRUST_DOMAIN, spiffe=True).identity(replica.service_account, replica.namespace)

    def _common(self) -> tuple[str, ...]:
        headers = ("--allow-l5d-request-headers",) if self.allow_request_headers else ()
        form = ("--identity-form", self.identity_form)
        return (*headers, *form, "--identity-issuance-lifetime", self.issuance_lifetime)
