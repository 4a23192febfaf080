"""What meshed replicas need around them: the proxy program, the CA, tokens and the control plane's command."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from weft.identity import tokens
from weft.lib import clock
from weft.lib.clock import Clock
from weft.lib.errors import WeftError
from weft.local import sidecar
from weft.local.confirmation import Ask
from weft.local.credentials import Credentials
from weft.local.options import Options
from weft.local.plan import CONTROL_NAMESPACE, TRUST_DOMAIN, Replica
from weft.local.replica import Sidecar
from weft.local.rotation import Rotation
from weft.local.state import State

_LOOK_SECONDS = 10.0


class Control:
    """Made once per mesh; credentials come to be when the first meshed replica does."""

    def __init__(self, state: State, options: Options, ask: Ask) -> None:
        self._state = state
        self._options = options
        self._ask = ask
        self._credentials: Credentials | None = None
        self._rotation: Rotation | None = None
        self._proxy = ""

    def require(self) -> None:
        """Make sure that replicas can be meshed. Raises WeftError when there is no proxy program."""
        self._proxy = find_proxy()
        if self._credentials is None:
            given = self._options.issuer_directory
            self._credentials = Credentials.make(self._state.identity, Path(given) if given else None)
            self._rotation = Rotation(self._credentials, self._ask)

    @property
    def credentials(self) -> Credentials:
        """The mesh's CA. Raises WeftError when nothing is meshed."""
        if self._credentials is None:
            raise WeftError("nothing in this mesh has an identity", "its workloads are annotated as not injected")
        return self._credentials

    @property
    def rotation(self) -> Rotation:
        """How it is replaced. Raises WeftError when nothing is meshed."""
        assert self.credentials
        assert self._rotation is not None
        return self._rotation

    def sidecar(self, replica: Replica, life: int) -> Sidecar:
        """How to run this replica's proxy in one of its lives; the first token is written before this returns."""
        assert self._credentials is not None
        credentials = self._credentials
        token = self._state.tokens / f"{replica.namespace}.{replica.name}"
        token.touch(mode=0o600)
        fresh = FreshToken(lambda now: credentials.write_token(replica, life, token, now), clock.system)
        environment = sidecar.environment(replica, str(token), str(credentials.anchors))
        return Sidecar((*_only(_NET_ADMIN), self._proxy), {"PATH": os.defpath, **environment}, fresh.keep)

    def command(self) -> tuple[str, ...]:
        """The control plane's own command."""
        assert self._credentials is not None
        return (
            *_only(),
            *(sys.executable, "-P", "-m", "weft", "control-plane"),
            *("--objects", str(self._state.objects)),
            *("--issuer-dir", str(self._state.identity)),
            *("--token-key", str(self._credentials.token_key)),
            *("--listen", "0.0.0.0"),
            *("--identity-port", str(sidecar.IDENTITY_PORT)),
            *("--destination-port", str(sidecar.DESTINATION_PORT)),
            *("--policy-port", str(sidecar.POLICY_PORT)),
            *("--admin-port", str(sidecar.CONTROL_PLANE_ADMIN_PORT)),
            *("--control-namespace", CONTROL_NAMESPACE, "--trust-domain", TRUST_DOMAIN),
            *self._options.control_plane(),
        )


class FreshToken:
    """A token that is written now, and again whenever it is due."""

    def __init__(self, write: Callable[[datetime], None], now: Clock) -> None:
        self._write = write
        self._now = now
        self._minted = now()
        write(self._minted)

    async def keep(self, look_every: float = _LOOK_SECONDS) -> None:
        """Until cancelled. A longer sleep would not notice that the clock was set."""
        while True:
            await asyncio.sleep(look_every)
            if tokens.is_due(self._minted, now := self._now()):
                self._minted = now
                self._write(now)


def find_proxy() -> str:
    """The path of `weft-proxy`: named by WEFT_PROXY_BINARY, beside the `weft` script, or on PATH. Raises WeftError."""
    named = os.environ.get("WEFT_PROXY_BINARY")
    if named:
        if os.access(named, os.X_OK):
            return named
        raise WeftError(f"WEFT_PROXY_BINARY names {named}, which is not a program that can be run")
    beside = Path(sys.executable).with_name("weft-proxy")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("weft-proxy")
    if found:
        return found
    raise WeftError(
        "the program weft-proxy is missing",
        "install Weft with pip (the wheel has it), set WEFT_PROXY_BINARY to its path, "
        "or annotate workloads with `linkerd.io/inject: disabled`",
    )


def _only(*capabilities: str) -> tuple[str, ...]:
    """A prefix that drops every privilege but these."""
    return (
        "setpriv",
        "--no-new-privs",
        "--inh-caps=-all",
        f"--bounding-set=-all{''.join(f',+{name}' for name in capabilities)}",
    )


_NET_ADMIN = "net_admin"
"""Needed to set a socket mark, by which the redirect spares the proxy's own connections."""
