"""The documents that grant access (policy.linkerd.io): to a Server, a route, or all Servers of a namespace."""

from dataclasses import dataclass

from weft.model.clients import Clients
from weft.model.meta import Meta, ObjectId
from weft.model.server import Selector

GROUP = "policy.linkerd.io"


@dataclass(frozen=True, slots=True)
class Network:
    """Addresses from which clients may come; those in `excepted` are not meant."""

    cidr: str
    excepted: tuple[str, ...] = ()


EVERYWHERE: tuple[Network, ...] = (Network("0.0.0.0/0"), Network("::/0"))


@dataclass(frozen=True, slots=True)
class Account:
    """A ServiceAccount; no document of it is needed, its name is part of an identity."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationPolicy:
    """Lets clients to `target` that satisfy all of `required`; none required means everybody."""

    meta: Meta
    target: ObjectId
    required: tuple[ObjectId | Account, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAuthorization:
    """The older kind, complete in itself. `server` is the name of one, or what the labels of several must be."""

    meta: Meta
    server: str | Selector
    networks: tuple[Network, ...]
    clients: Clients
    accounts: tuple[Account, ...] = ()
    """ServiceAccounts beside the identities of `clients`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshTLSAuthentication:
    """Clients by identity: patterns, accounts, and namespaces all of whose accounts are meant."""

    meta: Meta
    identities: tuple[str, ...] = ()
    accounts: tuple[Account, ...] = ()
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAuthentication:
    """Clients by address."""

    meta: Meta
    networks: tuple[Network, ...]
