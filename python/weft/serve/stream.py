"""The loop of every stream, without opinions: the whole answer now, then what changed.

A slow reader skips to the newest version instead of queueing the old ones: while a write waits, nothing is read.
"""

import logging
from functools import partial
from typing import NoReturn

import grpc

from weft.answers import Answers, TooManyQuestions
from weft.compile import Answer, Question
from weft.compile.answer import Code, Endpoints, Unanswerable
from weft.serve import encode

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[bytes, bytes]


async def once(question: Question | Unanswerable, answers: Answers, context: Context) -> bytes:
    """Answer a call that wants the answer as it is now."""
    if isinstance(question, Unanswerable):
        await refuse(question, context)
    answer = answers.now(question)
    if isinstance(answer, Unanswerable):
        await refuse(answer, context)
    return encode.messages(None, answer)[0]


async def watch(question: Question | Unanswerable, answers: Answers, context: Context) -> None:
    """Answer a call that wants every version from now on, until it ends."""
    if isinstance(question, Unanswerable):
        await refuse(question, context)
    try:
        with answers.of(question) as watched:
            sent: Answer | None = None
            sent_number = 0
            async for version in watched.versions():
                answer = version.answer
                if isinstance(answer, Unanswerable):
                    if not isinstance(sent, Endpoints) or answer.code is not Code.NOT_FOUND:
                        await refuse(answer, context)
                    # The Service is gone: the stream stays, since it may come back, and the proxy stops using the old.
                    answer = Endpoints(exists=False)
                for message in version.encoded(sent_number, partial(encode.messages, sent, answer)):
                    await context.write(message)
                sent, sent_number = answer, version.number
    except TooManyQuestions as error:
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))


async def refuse(why: Unanswerable, context: Context) -> NoReturn:
    """End the call with the reason."""
    log.debug("refused", extra={"fields": {"code": why.code.value, "reason": why.reason}})
    await context.abort(grpc.StatusCode[why.code.value], why.reason)
    raise AssertionError("abort raises")
