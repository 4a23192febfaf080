"""Properties of inbound policy, for any documents and any client."""

from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.property.test_answers import NAMES, NAMESPACES, PORTS, documents, grants, meshes

from weft.compile import InboundOf, answer
from weft.compile.answer import InboundPolicy
from weft.compile.judge import Client, Outcome, Request, judge
from weft.model import Document
from weft.model.settings import Settings
from weft.model.snapshot import Snapshot

QUESTION = st.builds(InboundOf, st.sampled_from(NAMESPACES), st.sampled_from(NAMES), st.sampled_from(PORTS))
IDENTITIES = tuple(Settings().identity(name, namespace) for name in NAMES for namespace in NAMESPACES)
CLIENTS = st.builds(
    Client, st.sampled_from(("10.0.0.9", "203.0.113.1", "2001:db8::1")), st.sampled_from(("", "a.x", *IDENTITIES))
)
REQUESTS = st.one_of(st.none(), st.builds(Request, st.just("GET"), st.sampled_from(("/", "/healthz"))))
LETS_IN = (Outcome.ALLOWED, Outcome.AUDITED)


def let_in(mesh: list[Document], question: InboundOf, client: Client, request: Request | None) -> bool | None:
    """Whether the client is let in; None where there is no such workload."""
    policy, _ = answer(Snapshot.of(Settings(), mesh), question)
    return judge(policy, client, request).outcome in LETS_IN if isinstance(policy, InboundPolicy) else None


@settings(max_examples=75)
@given(meshes, grants(), QUESTION, CLIENTS, REQUESTS)
def test_adding_a_grant_never_denies(
    mesh: list[Document], more: Document, question: InboundOf, client: Client, request: Request | None
) -> None:
    """Requirement: whoever was let in still is when an AuthorizationPolicy or ServerAuthorization is added."""
    assume(more.meta.id not in {each.meta.id for each in mesh})
    before = let_in(mesh, question, client, request)
    assert not before or let_in([*mesh, more], question, client, request)


@settings(max_examples=40)
@given(meshes, st.randoms(use_true_random=False), QUESTION)
def test_the_order_of_documents_is_irrelevant(mesh: list[Document], random: Random, question: InboundOf) -> None:
    """Requirement: the same documents in any order, in however many steps, are the same policy."""
    shuffled = list(mesh)
    random.shuffle(shuffled)
    whole, _ = answer(Snapshot.of(Settings(), mesh), question)
    assert answer(Snapshot.of(Settings(), shuffled), question)[0] == whole
    grown = Snapshot(Settings())
    for each in shuffled:
        grown, _ = grown.changed({each.meta.id: each})
    assert answer(grown, question)[0] == whole


@settings(max_examples=40)
@given(meshes, QUESTION, CLIENTS, REQUESTS)
def test_a_better_proof_never_gets_less(
    mesh: list[Document], question: InboundOf, client: Client, request: Request | None
) -> None:
    """Requirement: who is let in without an identity is let in with any."""
    bare = let_in(mesh, question, Client(client.address), request)
    assert not bare or let_in(mesh, question, client, request)


@settings(max_examples=20)
@given(meshes, documents(), QUESTION)
def test_a_document_elsewhere_changes_nothing(mesh: list[Document], more: Document, question: InboundOf) -> None:
    """Requirement: what is in the other namespace, and is no authentication, is no part of a workload's policy."""
    assume(more.meta.id not in {each.meta.id for each in mesh})
    assume(more.meta.namespace not in ("", question.namespace))
    assume(not more.meta.id.kind.endswith("Authentication"))
    before, _ = answer(Snapshot.of(Settings(), mesh), question)
    assert answer(Snapshot.of(Settings(), [*mesh, more]), question)[0] == before
