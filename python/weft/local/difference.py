"""What an edit of the mesh file changes: the smallest set of starts and stops between two plans. Pure."""

from dataclasses import dataclass, fields
from enum import Enum

from weft.local.plan import Plan, Replica


@dataclass(frozen=True, slots=True)
class Difference:
    """Keys are `namespace/name` of replicas; `publish` entries are host addresses and ports."""

    stop: tuple[str, ...]
    start: tuple[str, ...]
    restart: tuple[str, ...]
    """Both halves are replaced, with their network."""
    application: tuple[str, ...]
    """Only the application of these is replaced."""
    proxy: tuple[str, ...]
    """Only the proxy of these is."""
    adjust: tuple[str, ...]
    """What is different about these holds for a running replica too."""
    close: tuple[tuple[str, int], ...]
    open: tuple[tuple[str, int], ...]
    objects_changed: bool

    def __bool__(self) -> bool:
        return self != _NOTHING


def between(old: Plan, new: Plan) -> Difference:
    """Replicas that stay equal are left alone; routes, policies and labels restart nothing, a port only a proxy."""
    both = old.replicas.keys() & new.replicas.keys()
    different = sorted(key for key in both if old.replicas[key] != new.replicas[key])
    effects = {key: _effect(old.replicas[key], new.replicas[key]) for key in different}

    def those(effect: _Effect) -> tuple[str, ...]:
        return tuple(key for key in different if effects[key] is effect)

    return Difference(
        stop=tuple(sorted(old.replicas.keys() - new.replicas.keys())),
        start=tuple(sorted(new.replicas.keys() - old.replicas.keys())),
        restart=those(_Effect.RESTART),
        application=those(_Effect.APPLICATION),
        proxy=those(_Effect.PROXY),
        adjust=those(_Effect.ADJUST),
        close=tuple(sorted(listen for listen, _ in old.publish.items() - new.publish.items())),
        open=tuple(sorted(listen for listen, _ in new.publish.items() - old.publish.items())),
        objects_changed=(old.documents, old.services, old.labels, old.publish)
        != (new.documents, new.services, new.labels, new.publish),
    )


class _Effect(Enum):
    ADJUST, APPLICATION, PROXY, RESTART = range(4)


def _effect(old: Replica, new: Replica) -> _Effect:
    changed = {each.name for each in fields(Replica) if getattr(old, each.name) != getattr(new, each.name)}
    if changed <= _WHILE_RUNNING:
        return _Effect.ADJUST
    if changed <= _WHILE_RUNNING | _OF_APPLICATION:
        return _Effect.APPLICATION
    # Without a proxy what concerns one is seen by nobody but others, who are told anew.
    if changed <= _WHILE_RUNNING | _OF_PROXY:
        return _Effect.PROXY if new.meshed else _Effect.ADJUST
    if changed <= _WHILE_RUNNING | _OF_PROXY | _OF_APPLICATION and not new.meshed:
        return _Effect.APPLICATION
    return _Effect.RESTART


_WHILE_RUNNING = frozenset(
    ("readiness", "liveness", "startup", "depends_on", "egress", "retries", "skip_inbound", "skip_outbound")
)
_OF_APPLICATION = frozenset(("command", "environment", "working_directory", "once"))
_OF_PROXY = frozenset(("ports", "proxy_settings", "service_account"))
_NOTHING = Difference((), (), (), (), (), (), (), (), objects_changed=False)
