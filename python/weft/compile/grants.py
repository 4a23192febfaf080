"""What the documents about access grant, and which of them grant nothing although they mean to.

A policy that asks for an authentication which does not exist grants nobody anything: access is never given by mistake.
"""

from dataclasses import dataclass

from weft.compile.answer import About, Authorization
from weft.compile.reading import Reading
from weft.model import (
    AuthorizationPolicy,
    MeshTLSAuthentication,
    NetworkAuthentication,
    Route,
    Server,
    ServerAuthorization,
)
from weft.model.authorization import EVERYWHERE, GROUP, Account
from weft.model.clients import ANYONE, MESHED, Clients, Proof, named
from weft.model.meta import Meta, ObjectId


@dataclass(frozen=True, slots=True)
class Unusable:
    """A policy that grants nothing, and why."""

    about: About
    reason: str


Grant = Authorization | Unusable


def of_server(mesh: Reading, server: Server) -> tuple[Grant, ...]:
    """Return what is granted on a Server's whole port: by policies for it or its namespace, and by its own."""
    namespace = server.meta.namespace
    policies = (
        *mesh.policies_for(ObjectId(GROUP, "Server", namespace, server.meta.name)),
        *_for_namespace(mesh, namespace),
    )
    return (
        *(_policy(mesh, each) for each in policies),
        *(_server_authorization(mesh, each) for each in mesh.server_authorizations_for(server)),
        *by_default(mesh, server.access_policy),
    )


def of_route(mesh: Reading, route: Route) -> tuple[Grant, ...]:
    """Return what is granted on a route beside what its Server grants."""
    return tuple(_policy(mesh, each) for each in mesh.policies_for(route.meta.id))


def by_default(mesh: Reading, policy: str, *, identified: bool = False) -> tuple[Authorization, ...]:
    """Return what a default policy grants; `identified` asks for an identity on top."""
    if policy == "deny":
        return ()
    networks = mesh.settings.cluster if policy.startswith("cluster-") else EVERYWHERE
    clients = MESHED if identified or policy.endswith("-authenticated") else ANYONE
    return (Authorization(About(name=policy), networks, clients),)


def usable(grants: tuple[Grant, ...]) -> tuple[Authorization, ...]:
    """Return the grants without those that grant nothing."""
    return tuple(each for each in grants if isinstance(each, Authorization))


def about(meta: Meta, kind: str) -> About:
    """Return how metrics name a document."""
    return About(kind, meta.name, meta.id.group, meta.namespace)


def _for_namespace(mesh: Reading, namespace: str) -> tuple[AuthorizationPolicy, ...]:
    return mesh.policies_for(ObjectId("", "Namespace", "", namespace))


def _policy(mesh: Reading, policy: AuthorizationPolicy) -> Grant:
    """Return the one grant of a policy: all that it requires must hold at once; nothing required means everybody."""
    own = about(policy.meta, "authorizationpolicy")
    networks, clients = EVERYWHERE, ANYONE
    for required in policy.required:
        if isinstance(required, Account):
            clients = _accounts(mesh, (required,))
            continue
        found = mesh.authentication(required)
        if isinstance(found, MeshTLSAuthentication):
            clients = _identities(mesh, found)
        elif isinstance(found, NetworkAuthentication):
            networks = found.networks
        else:
            return Unusable(own, f"it requires {required}, which does not exist")
    return Authorization(own, networks, clients)


def _server_authorization(mesh: Reading, written: ServerAuthorization) -> Authorization:
    clients = written.clients
    if written.accounts:
        accounts = _accounts(mesh, written.accounts)
        names = {*clients.identities, *accounts.identities}
        clients = Clients(Proof.IDENTITY, tuple(sorted(names)), clients.suffixes)
    return Authorization(about(written.meta, "serverauthorization"), written.networks, clients)


def _identities(mesh: Reading, authentication: MeshTLSAuthentication) -> Clients:
    written = named(authentication.identities)
    named_accounts, suffixes = list(authentication.accounts), set(written.suffixes)
    for namespace in authentication.namespaces:
        if mesh.settings.spiffe:
            # A URI is compared whole: all of a namespace are those that are there.
            named_accounts += (Account(namespace, name) for name in mesh.accounts_in(namespace))
        else:
            # The name of an account that has none of its own: what stands behind each name of the namespace.
            suffixes.add(mesh.settings.server_name("", namespace).removeprefix("."))
    accounts = _accounts(mesh, tuple(named_accounts))
    identities = {*written.identities, *accounts.identities}
    return Clients(Proof.IDENTITY, tuple(sorted(identities)), tuple(sorted(suffixes)))


def _accounts(mesh: Reading, accounts: tuple[Account, ...]) -> Clients:
    names = {mesh.settings.identity(each.name, each.namespace) for each in accounts}
    return Clients(Proof.IDENTITY, tuple(sorted(names)))
