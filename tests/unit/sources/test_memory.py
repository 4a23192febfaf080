"""The source that a program fills itself."""

from weft.answers import Answers
from weft.compile import InboundOf
from weft.compile.answer import InboundPolicy, Unanswerable
from weft.model import Meta, ObjectId, Origin, Pod
from weft.model.settings import Settings
from weft.sources import Memory


def test_what_is_put_in_is_answered_at_once_and_gone_when_removed() -> None:
    """Requirement: a change is in force when `put` or `remove` returns; ids replace, others stay."""
    answers = Answers(Settings())
    source = Memory(answers.change)
    ids = [ObjectId("", "Pod", "default", name) for name in ("a", "b")]
    pods = [Pod(meta=Meta(id=each, origin=Origin("m", 1)), ips=(), ready=True, service_account="s") for each in ids]
    source.put(*pods)
    source.put(pods[0])
    source.remove(ids[1])
    assert isinstance(answers.now(InboundOf("default", "a", 80)), InboundPolicy)
    assert isinstance(answers.now(InboundOf("default", "b", 80)), Unanswerable)
