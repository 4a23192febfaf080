"""Where documents come from. A source is awaited: it hands each new whole set of documents to the function it was given."""

from weft.sources.directory import Directory
from weft.sources.memory import Memory

__all__ = ["Directory", "Memory"]
