"""The whole mesh at one moment, with the keys under which each document can be found.

A Snapshot never changes. `changed` makes the next one and says which keys it touched: the cost follows the change in
everything but one shallow copy of the index. What a key finds is decided here, who asks for it is not.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from weft.model import (
    AuthorizationPolicy,
    Document,
    MeshTLSAuthentication,
    Namespace,
    NetworkAuthentication,
    ObjectId,
    Pod,
    Route,
    Server,
    ServerAuthorization,
    Service,
    ServiceProfile,
)
from weft.model.settings import Settings

Key = tuple[str, ...]
"""The name of an index, and what is looked up in it."""


def pod_key(namespace: str, name: str) -> Key:
    """Find one pod by name."""
    return ("pod", namespace, name)


def pod_label_key(namespace: str, label: str, value: str) -> Key:
    """Find the pods of a namespace with one label."""
    return ("pods by label", namespace, label, value)


def pod_ip_key(ip: str) -> Key:
    """Find the pods with an address."""
    return ("pods by address", ip)


def service_key(namespace: str, name: str) -> Key:
    """Find one Service by name."""
    return ("service", namespace, name)


def service_ip_key(ip: str) -> Key:
    """Find the Services with a cluster address."""
    return ("services by address", ip)


def namespace_key(name: str) -> Key:
    """Find one Namespace document."""
    return ("namespace", name)


def route_key(namespace: str, name: str) -> Key:
    """Find the routes that name a Service as their parent."""
    return ("routes by service", namespace, name)


def server_key(namespace: str) -> Key:
    """Find the Servers of a namespace whose selectors name no label; the rest of these is for the reader to apply."""
    return ("servers", namespace)


def server_label_key(namespace: str, label: str, value: str) -> Key:
    """Find the Servers of a namespace whose selectors ask for a label; each is found by one of those it asks for."""
    return ("servers by label", namespace, label, value)


def server_route_key(namespace: str, name: str) -> Key:
    """Find the routes that name a Server as their parent."""
    return ("routes by server", namespace, name)


def policy_key(target: ObjectId) -> Key:
    """Find the AuthorizationPolicies with a target."""
    return ("policies by target", target.group, target.kind, target.namespace, target.name)


def server_authorization_key(namespace: str, server: str = "") -> Key:
    """Find the ServerAuthorizations of a namespace that name a Server; without a name those that select some."""
    return ("server authorizations", namespace, server)


def authentication_key(which: ObjectId) -> Key:
    """Find one MeshTLSAuthentication or NetworkAuthentication."""
    return ("authentication", which.kind, which.namespace, which.name)


def profile_key(namespace: str, name: str) -> Key:
    """Find the ServiceProfile of a namespace for a Service's full name."""
    return ("profile", namespace, name)


def namespace_pods_key(namespace: str) -> Key:
    """Find the pods of a namespace, where workloads are known by SPIFFE URIs: those have no form for all of it."""
    return ("pods by namespace", namespace)


def keys_of(document: Document, settings: Settings) -> frozenset[Key]:
    """Return every key under which a document is found; a Workload is local mode's own and under none."""
    about = document.meta
    if isinstance(document, Pod):
        labels = (pod_label_key(about.namespace, label, value) for label, value in about.labels.items())
        addresses = (pod_ip_key(ip) for ip in document.ips)
        fellows = (namespace_pods_key(about.namespace),) if settings.spiffe else ()
        return frozenset((pod_key(about.namespace, about.name), *labels, *addresses, *fellows))
    if isinstance(document, Service):
        addresses = (service_ip_key(ip) for ip in document.cluster_ips)
        return frozenset((service_key(about.namespace, about.name), *addresses))
    if isinstance(document, Namespace):
        return frozenset((namespace_key(about.name),))
    if isinstance(document, Route):
        services = (ref for ref in document.parents if ref.kind == "Service" and ref.group == "")
        servers = (ref for ref in document.parents if ref.kind == "Server" and ref.group == "policy.linkerd.io")
        return frozenset(
            (
                *(route_key(ref.namespace, ref.name) for ref in services),
                *(server_route_key(ref.namespace, ref.name) for ref in servers),
            )
        )
    if isinstance(document, Server):
        return frozenset((_key_of_server(document),))
    if isinstance(document, AuthorizationPolicy):
        return frozenset((policy_key(document.target),))
    if isinstance(document, ServerAuthorization):
        server = document.server if isinstance(document.server, str) else ""
        return frozenset((server_authorization_key(about.namespace, server),))
    if isinstance(document, MeshTLSAuthentication | NetworkAuthentication):
        return frozenset((authentication_key(about.id),))
    if isinstance(document, ServiceProfile):
        return frozenset((profile_key(about.namespace, about.name),))
    return frozenset()


def _key_of_server(server: Server) -> Key:
    """Return the key of one label that a Server asks for, so that a change of it concerns only pods that have it."""
    labels = server.pods.labels if server.pods is not None else {}
    if not labels:
        return server_key(server.meta.namespace)
    # Whichever it is, the answers are the same; what the mesh writes is on every pod and would concern them all.
    name = min(labels, key=lambda name: (name.startswith("linkerd.io/"), name))
    return server_label_key(server.meta.namespace, name, labels[name])


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All documents by id; `index` has the ids behind each key, sorted."""

    settings: Settings
    documents: Mapping[ObjectId, Document] = field(default_factory=dict)
    index: Mapping[Key, tuple[ObjectId, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, documents: Iterable[Document]) -> "Snapshot":
        """Return the Snapshot of these documents."""
        return cls(settings).replaced(documents)[0]

    def found(self, key: Key) -> tuple[Document, ...]:
        """Return what is under a key, by id."""
        return tuple(self.documents[each] for each in self.index.get(key, ()))

    def replaced(self, documents: Iterable[Document]) -> tuple["Snapshot", frozenset[Key]]:
        """Return the Snapshot of exactly these documents, and the keys that differ from this one's."""
        wanted: dict[ObjectId, Document | None] = {document.meta.id: document for document in documents}
        return self.changed(wanted | {each: None for each in self.documents if each not in wanted})

    def changed(self, changes: Mapping[ObjectId, Document | None]) -> tuple["Snapshot", frozenset[Key]]:
        """Return this Snapshot with documents put in or (None) taken out, and the keys that this touched.

        A document that is as it was touches nothing.
        """
        documents, index = dict(self.documents), dict(self.index)
        touched: set[Key] = set()
        moved: dict[Key, set[ObjectId]] = {}
        for which, new in changes.items():
            old = documents.get(which)
            if old is new or old == new:
                continue
            before = keys_of(old, self.settings) if old is not None else frozenset()
            after = keys_of(new, self.settings) if new is not None else frozenset()
            touched |= before | after
            for key in before ^ after:
                moved.setdefault(key, set()).add(which)
            if new is not None:
                documents[which] = new
            else:
                del documents[which]
        for key, ids in moved.items():  # each id was under the key and no longer is, or the reverse
            now = _toggled(index.pop(key, ()), ids)
            if now:
                index[key] = now
        return Snapshot(self.settings, documents, index), frozenset(touched)


def _toggled(known: tuple[ObjectId, ...], ids: set[ObjectId]) -> tuple[ObjectId, ...]:
    """Return `known`, which is sorted, without those of `ids` that are in it and with the others."""
    if len(ids) > FEW:
        return tuple(sorted(set(known) ^ ids))
    now = list(known)
    for which in ids:
        at = bisect_left(now, which)
        if at < len(now) and now[at] == which:
            del now[at]
        else:
            now.insert(at, which)
    return tuple(now)


FEW = 8
"""So many are put in their places one by one: a label that thousands of pods carry is not sorted for one pod more."""
