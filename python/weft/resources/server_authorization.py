"""The kind ServerAuthorization (`policy.linkerd.io`): who may reach the Servers that it names or selects."""

import msgspec

from weft.lib.errors import Problem
from weft.model.authorization import EVERYWHERE, Account, ServerAuthorization
from weft.model.clients import ANY_TLS, ANYONE, Clients, Proof, named
from weft.model.meta import Meta
from weft.resources.access import (
    Shape,
    WrittenExpression,
    WrittenNetwork,
    WrittenSelector,
    identity_problems,
    network_problems,
    networks,
    selector,
    selector_problems,
    version_problems,
)
from weft.resources.decode import decode, field_names
from weft.resources.metadata import Metadata, meta
from weft.resources.tree import Tree


class WrittenAccount(Shape, frozen=True):
    name: str
    namespace: str = ""


class WrittenMeshTLS(
    Shape, frozen=True, rename={"unauthenticated_tls": "unauthenticatedTLS", "accounts": "serviceAccounts"}
):
    unauthenticated_tls: bool = False
    identities: tuple[str, ...] = ()
    accounts: tuple[WrittenAccount, ...] = ()


class WrittenClient(Shape, frozen=True, rename={"mesh_tls": "meshTLS"}):
    networks: tuple[WrittenNetwork, ...] = ()
    unauthenticated: bool = False
    mesh_tls: WrittenMeshTLS | None = None


class WrittenServerRef(Shape, frozen=True):
    name: str | None = None
    selector: WrittenSelector | None = None


class WrittenSpec(Shape, frozen=True):
    server: WrittenServerRef
    client: WrittenClient


class Written(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    metadata: Metadata
    spec: WrittenSpec


KNOWN = field_names(
    Written,
    WrittenSpec,
    WrittenServerRef,
    WrittenSelector,
    WrittenExpression,
    WrittenClient,
    WrittenNetwork,
    WrittenMeshTLS,
    WrittenAccount,
)


def parse(tree: Tree, group: str, kind: str) -> ServerAuthorization | list[Problem]:
    """A ServerAuthorization, or everything that is wrong with it."""
    written = decode(tree, Written, KNOWN)
    if isinstance(written, list):
        return written
    about = meta(tree, group, kind, written.metadata)
    server, client = written.spec.server, written.spec.client
    problems = [] if isinstance(about, Meta) else about
    problems += version_problems(tree, written.api_version, ("v1alpha1", "v1beta1"))
    if (server.name is None) == (server.selector is None):
        reason = "a ServerAuthorization has exactly one of server.name and server.selector"
        problems.append(tree.problem(("spec", "server"), "bad-selector", reason, "`selector: {}` selects every Server"))
    problems += selector_problems(tree, ("spec", "server", "selector"), server.selector)
    problems += network_problems(tree, ("spec", "client", "networks"), client.networks)
    problems += _client_problems(tree, client)
    if problems or not isinstance(about, Meta):
        return problems
    mesh = client.mesh_tls or WrittenMeshTLS()
    return ServerAuthorization(
        meta=about,
        server=selector(server.selector) if server.selector is not None else server.name or "",
        networks=networks(client.networks) or EVERYWHERE,
        clients=_clients(client, mesh),
        accounts=tuple(Account(each.namespace or about.namespace, each.name) for each in mesh.accounts),
    )


def _client_problems(tree: Tree, client: WrittenClient) -> list[Problem]:
    at = ("spec", "client")
    if client.unauthenticated == (client.mesh_tls is not None):
        hint = '`unauthenticated: true` lets plaintext in, `meshTLS: {identities: ["*"]}` every client of the mesh'
        reason = "a client is either unauthenticated or has meshTLS"
        return [tree.problem(at, "bad-client", reason, hint)]
    mesh = client.mesh_tls
    if mesh is None:
        return []
    names = bool(mesh.identities or mesh.accounts)
    if mesh.unauthenticated_tls == names:
        words = "has both unauthenticatedTLS and names" if names else "names nobody"
        hint = "identities or serviceAccounts, or `unauthenticatedTLS: true`"
        return [tree.problem((*at, "meshTLS"), "bad-client", f"meshTLS {words}", hint)]
    return identity_problems(tree, (*at, "meshTLS", "identities"), mesh.identities)


def _clients(client: WrittenClient, mesh: WrittenMeshTLS) -> Clients:
    if client.unauthenticated:
        return ANYONE
    if mesh.unauthenticated_tls:
        return ANY_TLS
    return named(mesh.identities) if mesh.identities else Clients(Proof.IDENTITY)
