"""Where documents come from. A source hands each new whole set to the function it was given.

Sources do not judge documents: what is wrong with one, `weft.resources` says.
"""

from weft.sources.directory import Directory
from weft.sources.memory import Memory

__all__ = ["Directory", "Memory"]
