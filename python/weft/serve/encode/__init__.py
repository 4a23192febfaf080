"""From answers to bytes: with `weft.serve.ask`, which reads requests, the only Python code that knows the wire types.

`messages(before, answer)` is the entry: the messages that lead a stream from one version of an answer to the next.
"""

from weft.compile import Answer
from weft.compile.answer import Endpoints, InboundPolicy, OutboundPolicy, Profile
from weft.serve.encode import destination, inbound, outbound


def messages(before: Answer | None, answer: Answer) -> tuple[bytes, ...]:
    """Return what to send to a stream that last got `before` (None: nothing yet)."""
    if isinstance(answer, Endpoints):
        known = before if isinstance(before, Endpoints) else None
        return tuple(each.SerializeToString() for each in destination.updates(known, answer))
    if isinstance(answer, Profile):
        return (destination.profile(answer).SerializeToString(),)
    if isinstance(answer, InboundPolicy):
        return (inbound.server(answer).SerializeToString(),)
    if isinstance(answer, OutboundPolicy):
        return (outbound.policy(answer).SerializeToString(),)
    raise TypeError("an Unanswerable is a status, not a message")
