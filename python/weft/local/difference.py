"""What an edit of the mesh file changes: the smallest set of starts and stops that leads from one plan to the next. Pure."""

from dataclasses import dataclass

from weft.local.plan import Plan


@dataclass(frozen=True, slots=True)
class Difference:
    """Keys are `namespace/name` of replicas; `publish` entries are host addresses and ports."""

    stop: tuple[str, ...]
    start: tuple[str, ...]
    restart: tuple[str, ...]
    close: tuple[tuple[str, int], ...]
    open: tuple[tuple[str, int], ...]
    objects_changed: bool

    def __bool__(self) -> bool:
        return bool(self.stop or self.start or self.restart or self.close or self.open or self.objects_changed)


def between(old: Plan, new: Plan) -> Difference:
    """Replicas that stay equal are left alone; routes, policies and labels restart nothing."""
    both = old.replicas.keys() & new.replicas.keys()
    return Difference(
        stop=tuple(sorted(old.replicas.keys() - new.replicas.keys())),
        start=tuple(sorted(new.replicas.keys() - old.replicas.keys())),
        restart=tuple(sorted(key for key in both if old.replicas[key] != new.replicas[key])),
        close=tuple(sorted(old.publish.keys() - new.publish.keys())),
        open=tuple(sorted(new.publish.keys() - old.publish.keys())),
        objects_changed=(old.documents, old.services, old.labels, old.publish)
        != (new.documents, new.services, new.labels, new.publish),
    )
