"""The mesh's own CA and the tokens of its replicas.

Keys are made anew with each mesh and go with its state directory.
"""

from dataclasses import dataclass
from pathlib import Path

from weft.identity import authority, files, tokens
from weft.lib import clock
from weft.local.objects import uid
from weft.local.plan import TRUST_DOMAIN, Replica


@dataclass(frozen=True, slots=True)
class Credentials:
    """The token key's private half stays in this process."""

    anchors: Path
    token_key: Path
    """The public half, PEM, for the control plane."""
    _key: tokens.KeyPair

    @staticmethod
    def make(directory: Path) -> "Credentials":
        """A new CA and token key in an empty directory."""
        authority.create(directory, TRUST_DOMAIN, clock.system())
        key = tokens.create_key()
        public = directory / "token.pub"
        public.write_bytes(key.public)
        return Credentials(directory / files.ANCHORS, public, key)

    def write_token(self, replica: Replica, life: int, path: Path) -> None:
        """Write a fresh token in place, in one write: whoever has the file open or bind-mounted sees the new one."""
        bearer = tokens.Bearer(replica.namespace, replica.service_account, replica.name, uid(replica.key, life))
        path.write_text(tokens.mint(self._key.private, bearer, clock.system()))
