"""Documents put in by the program itself: the source of tests and simulations."""

from collections.abc import Callable, Mapping

from weft.model import Document, ObjectId

Publish = Callable[[Mapping[ObjectId, Document | None]], None]
"""Takes what changed: documents that are new or different, and None for those that are gone."""


class Memory:
    """Publishes every change, at once."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish

    def put(self, *documents: Document) -> None:
        """Add documents, or replace those with the same ids."""
        self._publish({document.meta.id: document for document in documents})

    def remove(self, *ids: ObjectId) -> None:
        """Take documents away."""
        self._publish(dict.fromkeys(ids))
