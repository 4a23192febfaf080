"""The questions that a proxy can ask, and the one function that answers any of them from a Snapshot."""

from dataclasses import dataclass

from weft.compile.answer import Endpoints, InboundPolicy, OutboundPolicy, Profile, Unanswerable
from weft.compile.authority import Authority
from weft.compile.endpoints import endpoints
from weft.compile.inbound import inbound
from weft.compile.outbound import outbound
from weft.compile.profiles import profile
from weft.compile.reading import Because, Reading
from weft.compile.targets import Target
from weft.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class EndpointsOf:
    """Ask where a Service's requests can go."""

    authority: Authority


@dataclass(frozen=True, slots=True)
class ProfileOf:
    """Ask what a target is to clients of a namespace; empty where the client does not say its own."""

    target: Target
    asker_namespace: str = ""


@dataclass(frozen=True, slots=True)
class InboundOf:
    """Ask who may reach a pod's port."""

    namespace: str
    pod: str
    port: int


@dataclass(frozen=True, slots=True)
class OutboundOf:
    """Ask how clients of a namespace reach a target."""

    asker_namespace: str
    target: Target


Question = EndpointsOf | ProfileOf | InboundOf | OutboundOf
Answer = Endpoints | Profile | InboundPolicy | OutboundPolicy | Unanswerable


def answer(snapshot: Snapshot, question: Question) -> tuple[Answer, Because]:
    """Return the answer, and the look-ups it was made because of."""
    mesh = Reading(snapshot)
    result: Answer
    if isinstance(question, EndpointsOf):
        result = endpoints(mesh, question.authority)
    elif isinstance(question, ProfileOf):
        result = profile(mesh, question.target, question.asker_namespace)
    elif isinstance(question, InboundOf):
        result = inbound(mesh, question.namespace, question.pod, question.port)
    else:
        result = outbound(mesh, question.asker_namespace, question.target)
    return result, mesh.because
