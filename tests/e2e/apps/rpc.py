"""Calls of all kinds to the test service. The first argument says which; prints what came of it as JSON."""

import json
import sys
import time

import grpc

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
SERVICE = "/test.Echo/"
PATIENCE = 60
MIB = 1 << 20


def unary(channel):
    answer, call = channel.unary_unary(SERVICE + "Unary").with_call(b"hello", timeout=PATIENCE)
    return {"answer": answer.decode(), "trailers": dict(call.trailing_metadata()), "code": call.code().name}


def server_stream(channel):
    asked = json.dumps({"count": 5, "size": 7}).encode()
    call = channel.unary_stream(SERVICE + "ServerStream")(asked, timeout=PATIENCE)
    return {"sizes": [len(each) for each in call], "trailers": dict(call.trailing_metadata())}


def client_stream(channel):
    call = channel.stream_unary(SERVICE + "ClientStream")
    return {"sizes": json.loads(call(iter([b"a", b"", b"ccc"]), timeout=PATIENCE))}


def both_stream(channel):
    """Sends the second message only when the first was answered: nothing on the way may wait for more."""
    answers = []

    def messages():
        for number in range(3):
            while len(answers) < number:
                time.sleep(0.001)
            yield f"message {number}".encode()

    for answer in channel.stream_stream(SERVICE + "BothStream")(messages(), timeout=PATIENCE):
        answers.append(answer.decode())
    return {"answers": answers}


def fail(channel):
    try:
        channel.unary_unary(SERVICE + "Fail")(b"", timeout=PATIENCE)
    except grpc.RpcError as error:
        return {"code": error.code().name, "details": error.details(), "trailers": dict(error.trailing_metadata())}


def refused(channel):
    try:
        channel.unary_unary(SERVICE + "Unary")(b"", timeout=PATIENCE)
    except grpc.RpcError as error:
        return {"code": error.code().name}


def once(channel):
    try:
        list(channel.unary_stream(SERVICE + sys.argv[3])(sys.argv[4].encode(), timeout=PATIENCE))
    except grpc.RpcError as error:
        return {"code": error.code().name}
    return {"code": "OK"}


def retried(channel):
    def call(method, request, *metadata):
        said = []
        try:
            for part in channel.unary_stream(SERVICE + method)(request, PATIENCE, metadata):
                said.append(part.decode())
            return [*said, "OK"]
        except grpc.RpcError as error:
            return [*said, error.code().name]

    named, unnamed = ("l5d-retry-grpc", "unavailable"), ("l5d-retry-grpc", "internal")
    limit = ("l5d-retry-limit", "2")
    answer, code = call("FailFirst", b"a", named, limit)
    (without,) = call("FailFirst", b"b", unnamed, limit)
    return {"answer": answer, "code": code, "unnamed": without, "begun": call("BeginAndFail", b"", named, limit)}


def cancel(channel):
    call = channel.unary_stream(SERVICE + "Wait")(b"", timeout=PATIENCE)
    first = next(call)
    call.cancel()
    seen = channel.unary_unary(SERVICE + "GivenUp")(b"", timeout=PATIENCE)
    return {"first": first.decode(), "code": call.code().name, "seen": seen.decode()}


def deadline(channel):
    call = channel.unary_stream(SERVICE + "Wait")(b"", timeout=0.5)
    try:
        list(call)
    except grpc.RpcError as error:
        seen = channel.unary_unary(SERVICE + "GivenUp")(b"", timeout=PATIENCE)
        return {"code": error.code().name, "seen": seen.decode()}


def large(channel):
    message = bytes(range(256)) * (4 * MIB // 256)
    return {"same": channel.unary_unary(SERVICE + "Unary")(message, timeout=PATIENCE) == message}


def flow(channel):
    asked = json.dumps({"count": 256, "size": MIB // 4}).encode()
    down = channel.unary_stream(SERVICE + "ServerStream")(asked, timeout=PATIENCE)
    received = sum(len(each) for each in down)
    up = channel.stream_unary(SERVICE + "ClientStream")
    sent = json.loads(up((b"x" * (MIB // 4) for _ in range(256)), timeout=PATIENCE))
    return {"received": received, "sent": sum(sent)}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](grpc.insecure_channel(sys.argv[2], options=OPTIONS))))
