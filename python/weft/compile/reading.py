"""The Snapshot seen through its indexes; every look-up is written down.

What was looked up, found or not, is the answer's `because`: the one list that says when an answer must be made again,
and that explains it. Whatever a compile function wants to know of the mesh, it learns here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from weft.model import Document, Namespace, ObjectId, Pod, Route, Server, Service
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
        self._found: dict[Key, tuple[ObjectId, ...]] = {}

    @property
    def settings(self) -> Settings:
        """Return the mesh's settings, which never change."""
        return self._snapshot.settings

    @property
    def because(self) -> Because:
        """Return what was looked up until now."""
        return Because(dict(self._found))

    def pod(self, namespace: str, name: str) -> Pod | None:
        """Return one pod."""
        return _first(self._look(keys.pod_key(namespace, name), Pod))

    def pods_at(self, ip: str) -> tuple[Pod, ...]:
        """Return the pods with this address."""
        return self._look(keys.pod_ip_key(ip), Pod)

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

    def routes_of(self, service: Service) -> tuple[Route, ...]:
        """Return the routes that name the Service as a parent."""
        return self._look(keys.route_key(service.meta.namespace, service.meta.name), Route)

    def server_of(self, pod: Pod, port: int) -> Server | None:
        """Return the Server that governs a pod's port: of several the oldest, then the first by name, as in Linkerd."""
        servers = self._look(keys.server_key(pod.meta.namespace), Server)
        governing = [server for server in servers if server.governs(pod, port)]
        return min(governing, key=lambda server: (server.meta.created or "9", server.meta.name), default=None)

    def _look(self, key: Key, kind: type[D]) -> tuple[D, ...]:
        documents = tuple(each for each in self._snapshot.found(key) if isinstance(each, kind))
        self._found[key] = tuple(each.meta.id for each in documents)
        return documents


def _first(documents: tuple[D, ...]) -> D | None:
    return documents[0] if documents else None
