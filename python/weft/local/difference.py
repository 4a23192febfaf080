"""What an edit of the mesh file changes: the smallest set of starts and stops between two plans. Pure."""

from dataclasses import dataclass, replace

from weft.local.plan import Plan, Replica


@dataclass(frozen=True, slots=True)
class Difference:
    """Keys are `namespace/name` of replicas; `publish` entries are host addresses and ports."""

    stop: tuple[str, ...]
    start: tuple[str, ...]
    restart: tuple[str, ...]
    adjust: tuple[str, ...]
    """What is different about these holds for a running replica too."""
    close: tuple[tuple[str, int], ...]
    open: tuple[tuple[str, int], ...]
    objects_changed: bool

    def __bool__(self) -> bool:
        return bool(
            self.stop or self.start or self.restart or self.adjust or self.close or self.open or self.objects_changed
        )


def between(old: Plan, new: Plan) -> Difference:
    """Replicas that stay equal are left alone; routes, policies and labels restart nothing."""
    both = old.replicas.keys() & new.replicas.keys()
    different = sorted(key for key in both if old.replicas[key] != new.replicas[key])
    adjust = tuple(key for key in different if _while_running(old.replicas[key]) == _while_running(new.replicas[key]))
    return Difference(
        stop=tuple(sorted(old.replicas.keys() - new.replicas.keys())),
        start=tuple(sorted(new.replicas.keys() - old.replicas.keys())),
        restart=tuple(key for key in different if key not in adjust),
        adjust=adjust,
        close=tuple(sorted(old.publish.keys() - new.publish.keys())),
        open=tuple(sorted(new.publish.keys() - old.publish.keys())),
        objects_changed=(old.documents, old.services, old.labels, old.publish)
        != (new.documents, new.services, new.labels, new.publish),
    )


def _while_running(replica: Replica) -> Replica:
    """A replica without what can change while it runs: dependencies, readiness, the way to the host's network."""
    return replace(replica, readiness=None, depends_on=(), egress=False)
