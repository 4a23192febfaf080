"""From a Snapshot and a question to an answer: pure functions, which write down every look-up they make.

`question.answer` is the entry; `endpoints`, `profiles`, `inbound`, `outbound` are the four kinds of question.
Nothing here waits, listens, logs or knows protobuf.
"""

from weft.compile.question import Answer, EndpointsOf, InboundOf, OutboundOf, ProfileOf, Question, answer

__all__ = ["Answer", "EndpointsOf", "InboundOf", "OutboundOf", "ProfileOf", "Question", "answer"]
