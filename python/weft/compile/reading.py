"""The Snapshot seen through its indexes; every look-up is written down.

What was looked up, found or not, is the answer's `because`: the one list that says when an answer must be made again,
and that explains it. Whatever a compile function wants to know of the mesh, it learns here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

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
from weft.model import snapshot as keys
from weft.model.settings import Settings
from weft.model.snapshot import Key, Snapshot

D = TypeVar("D", bound=Document)


@dataclass(frozen=True, slots=True)
class Because:
    """The footprint of one answer: each key that was asked for, and the documents that it found."""

    found: Mapping[Key, tuple[ObjectId, ...]]


class Reading:
    """One question's view of the mesh."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._documents: dict[Key, tuple[Document, ...]] = {}

    @property
    def settings(self) -> Settings:
        """Return the mesh's settings, which never change."""
        return self._snapshot.settings

    @property
    def because(self) -> Because:
        """Return what was looked up until now."""
        return Because({key: tuple(each.meta.id for each in found) for key, found in self._documents.items()})

    def pod(self, namespace: str, name: str) -> Pod | None:
        """Return one pod."""
        return _first(self._look(keys.pod_key(namespace, name), Pod))

    def pods_at(self, ip: str) -> tuple[Pod, ...]:
        """Return the pods with this address."""
        return self._look(keys.pod_ip_key(ip), Pod)

    def accounts_in(self, namespace: str) -> tuple[str, ...]:
        """Return the service accounts as which meshed pods of a namespace run; asked only where names are SPIFFE's."""
        pods = self._look(keys.namespace_pods_key(namespace), Pod)
        return tuple(sorted({pod.service_account for pod in pods if pod.meshed_by}))

    def pods_matching(self, namespace: str, selector: Mapping[str, str]) -> tuple[Pod, ...]:
        """Return the pods of a namespace that carry all labels of the selector; an empty one selects none."""
        if not selector:
            return ()
        # Any one pair finds a superset; the least frequent is the cheapest, and the only one a change can come through.
        options = (keys.pod_label_key(namespace, label, value) for label, value in selector.items())
        key = min(options, key=lambda option: (len(self._snapshot.index.get(option, ())), option))
        pods = self._look(key, Pod)
        return tuple(pod for pod in pods if selector.items() <= pod.meta.labels.items())

    def service(self, namespace: str, name: str) -> Service | None:
        """Return one Service."""
        return _first(self._look(keys.service_key(namespace, name), Service))

    def services_at(self, ip: str) -> tuple[Service, ...]:
        """Return the Services with this cluster address."""
        return self._look(keys.service_ip_key(ip), Service)

    def namespace(self, name: str) -> Namespace | None:
        """Return one Namespace document; a namespace may well exist without."""
        return _first(self._look(keys.namespace_key(name), Namespace))

    def profile_of(self, service: Service, asker_namespace: str) -> ServiceProfile | None:
        """Return a Service's ServiceProfile for clients of a namespace: their own namespace's, else the Service's."""
        full = self.settings.full_name(service.meta.name, service.meta.namespace)
        for namespace in dict.fromkeys(filter(None, (asker_namespace, service.meta.namespace))):
            found = _first(self._look(keys.profile_key(namespace, full), ServiceProfile))
            if found is not None:
                return found
        return None

    def routes_of(self, service: Service) -> tuple[Route, ...]:
        """Return the routes that name the Service as a parent."""
        return self._look(keys.route_key(service.meta.namespace, service.meta.name), Route)

    def servers_of(self, pod: Pod, port: int) -> tuple[Server, ...]:
        """Return the Servers that are about a pod's port: the oldest first, then by name. The first one governs."""
        namespace = pod.meta.namespace
        options = (keys.server_label_key(namespace, label, value) for label, value in pod.meta.labels.items())
        servers = (each for key in (keys.server_key(namespace), *options) for each in self._look(key, Server))
        about = (server for server in servers if server.governs(pod, port))
        return tuple(sorted(about, key=lambda server: (server.meta.created or NEVER, server.meta.name)))

    def server_of(self, pod: Pod, port: int) -> Server | None:
        """Return the Server that governs a pod's port."""
        return _first(self.servers_of(pod, port))

    def routes_to(self, server: Server) -> tuple[Route, ...]:
        """Return the routes that name the Server as a parent: the oldest first, then by name."""
        routes = self._look(keys.server_route_key(server.meta.namespace, server.meta.name), Route)
        return tuple(sorted(routes, key=lambda route: (route.meta.created or NEVER, route.meta.id)))

    def policies_for(self, target: ObjectId) -> tuple[AuthorizationPolicy, ...]:
        """Return the AuthorizationPolicies with this target."""
        return self._look(keys.policy_key(target), AuthorizationPolicy)

    def server_authorizations_for(self, server: Server) -> tuple[ServerAuthorization, ...]:
        """Return the ServerAuthorizations that name or select the Server."""
        namespace, name = server.meta.namespace, server.meta.name
        by_name = self._look(keys.server_authorization_key(namespace, name), ServerAuthorization)
        by_labels = self._look(keys.server_authorization_key(namespace), ServerAuthorization)
        return tuple(
            each
            for each in sorted((*by_name, *by_labels), key=lambda each: each.meta.id)
            if (
                each.server == server.meta.name
                if isinstance(each.server, str)
                else each.server.selects(server.meta.labels)
            )
        )

    def authentication(self, which: ObjectId) -> MeshTLSAuthentication | NetworkAuthentication | None:
        """Return one MeshTLSAuthentication or NetworkAuthentication."""
        key = keys.authentication_key(which)
        if which.kind == "MeshTLSAuthentication":
            return _first(self._look(key, MeshTLSAuthentication))
        return _first(self._look(key, NetworkAuthentication))

    def _look(self, key: Key, kind: type[D]) -> tuple[D, ...]:
        documents = self._documents.get(key)
        if documents is None:
            documents = self._documents[key] = self._snapshot.found(key)
        return tuple(each for each in documents if isinstance(each, kind))


def _first(documents: tuple[D, ...]) -> D | None:
    return documents[0] if documents else None


NEVER = "9"
"""Behind every RFC 3339 time: a document that does not say when it was made counts as the newest."""
