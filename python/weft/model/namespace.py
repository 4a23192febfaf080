"""A Namespace: read for its annotations only, which are the defaults of what lives in it."""

from dataclasses import dataclass

from weft.model.meta import Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A namespace that somebody wrote down; the others exist without a document."""

    meta: Meta
