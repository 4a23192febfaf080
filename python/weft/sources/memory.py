"""Documents put in by the program itself: the source of tests and simulations."""

from collections.abc import Callable, Iterable

from weft.model import Document, ObjectId

Publish = Callable[[Iterable[Document]], None]
"""Takes the whole set of documents that is in force from now on."""


class Memory:
    """Publishes after every change, at once."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._documents: dict[ObjectId, Document] = {}

    def put(self, *documents: Document) -> None:
        """Add documents, or replace those with the same ids."""
        self._documents.update({document.meta.id: document for document in documents})
        self._publish(tuple(self._documents.values()))

    def remove(self, *ids: ObjectId) -> None:
        """Take documents away."""
        for each in ids:
            self._documents.pop(each, None)
        self._publish(tuple(self._documents.values()))
