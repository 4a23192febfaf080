"""Properties of outbound policies and profiles, for any documents and any client."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.test_answers import NAMESPACES, meshes, targets

from weft.compile import Answer, OutboundOf, ProfileOf, Question, answer
from weft.compile.answer import OutboundPolicy
from weft.compile.targets import Target
from weft.model import Document, Route, ServiceProfile
from weft.model.settings import Settings
from weft.model.snapshot import Snapshot

CLIENTS = (*NAMESPACES, "elsewhere")
QUESTIONS: st.SearchStrategy[Question] = st.one_of(
    st.builds(OutboundOf, st.sampled_from(CLIENTS), targets), st.builds(ProfileOf, targets, st.sampled_from(CLIENTS))
)


def told(mesh: list[Document], question: Question) -> Answer:
    return answer(Snapshot.of(Settings(), mesh), question)[0]


@settings(max_examples=40)
@given(meshes, st.randoms(use_true_random=False), QUESTIONS)
def test_the_order_of_documents_is_irrelevant(mesh: list[Document], random: Random, question: Question) -> None:
    """Requirement: the same documents in any order, put in one by one or at once, are the same answer."""
    whole, shuffled = told(mesh, question), list(mesh)
    random.shuffle(shuffled)
    assert told(shuffled, question) == whole
    grown = Snapshot(Settings())
    for each in shuffled:
        grown, _ = grown.changed({each.meta.id: each})
    assert answer(grown, question)[0] == whole


@settings(max_examples=40)
@given(meshes, targets)
def test_consumers_are_on_their_own(mesh: list[Document], target: Target) -> None:
    """Requirement: routes and profiles of other namespaces than the Service's are nothing to clients of a third one."""
    whole = told(mesh, OutboundOf("elsewhere", target))
    if isinstance(whole, OutboundPolicy):
        home = whole.about.namespace
        foreign = [each for each in mesh if isinstance(each, Route | ServiceProfile) and each.meta.namespace != home]
        kept = [each for each in mesh if each not in foreign]
        assert told(kept, OutboundOf("elsewhere", target)) == whole
        asked = ProfileOf(target, "elsewhere")
        assert told(kept, asked) == told(mesh, asked)


@settings(max_examples=40)
@given(meshes, QUESTIONS)
def test_every_rule_that_answers_itself_says_why(mesh: list[Document], question: Question) -> None:
    """Requirement: a backend without a way has a reason, a rule that fails has one, and nothing else has."""
    policy = told(mesh, question)
    if isinstance(policy, OutboundPolicy):
        for rule in (rule for route in (*policy.http, *policy.grpc) for rule in route.rules):
            assert rule.failure is None or rule.failure.message
            for backend in rule.backends:
                assert (backend.to is None) == (backend.failure is not None)
                assert backend.failure is None or backend.failure.message
