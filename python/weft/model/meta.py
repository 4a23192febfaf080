"""What every document has: where it was written, what it is called, what is attached to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """The place where a user wrote a document; lines count from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class ObjectId(NamedTuple):
    """What tells two documents apart. `group` is empty for the core kinds, `namespace` for a Namespace.

    A tuple, because every index is made of these: they are hashed and compared more often than anything else here.
    """

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}" if self.namespace else f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """A document's metadata. `created` is the RFC 3339 time as written, `uid` tells generations apart; or empty."""

    id: ObjectId
    origin: Origin
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    uid: str = ""

    @property
    def namespace(self) -> str:
        """The namespace it is in; empty for a Namespace itself."""
        return self.id.namespace

    @property
    def name(self) -> str:
        """What it is called within its namespace."""
        return self.id.name
