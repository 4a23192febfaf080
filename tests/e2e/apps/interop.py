"""grpcio's client against the interoperability services: runs every case, prints what came of each as JSON.

The messages are generated beside this file from `interop.proto`.
"""

import json
import queue
import sys

import grpc
import interop_pb2 as messages
import interop_pb2_grpc as services

LARGE_REQUEST, LARGE_RESPONSE = 271828, 314159
SIZES = ((27182, 31415), (8, 9), (1828, 2653), (45904, 58979))
PATIENCE = 30
ECHO, ECHO_BINARY = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
DIFFICULT = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"


def payload(size):
    return messages.Payload(body=bytes(size))


def asking(request, response):
    sizes = [messages.ResponseParameters(size=response)]
    return messages.StreamingOutputCallRequest(response_parameters=sizes, payload=payload(request))


def large():
    return messages.SimpleRequest(response_size=LARGE_RESPONSE, payload=payload(LARGE_REQUEST))


def empty_unary(stub):
    assert stub.EmptyCall(messages.Empty(), timeout=PATIENCE) == messages.Empty()


def large_unary(stub):
    assert len(stub.UnaryCall(large(), timeout=PATIENCE).payload.body) == LARGE_RESPONSE


def concurrent_large_unary(stub):
    calls = [stub.UnaryCall.future(large(), timeout=PATIENCE) for _ in range(50)]
    assert [len(call.result().payload.body) for call in calls] == [LARGE_RESPONSE] * 50


def client_streaming(stub):
    requests = (messages.StreamingInputCallRequest(payload=payload(size)) for size, _ in SIZES)
    answer = stub.StreamingInputCall(requests, timeout=PATIENCE)
    assert answer.aggregated_payload_size == sum(size for size, _ in SIZES)


def server_streaming(stub):
    wanted = [size for _, size in SIZES]
    sizes = [messages.ResponseParameters(size=size) for size in wanted]
    call = stub.StreamingOutputCall(messages.StreamingOutputCallRequest(response_parameters=sizes), timeout=PATIENCE)
    assert [len(each.payload.body) for each in call] == wanted


def ping_pong(stub):
    """Sends the next request only when the one before was answered."""
    requests = queue.SimpleQueue()
    call = stub.FullDuplexCall(iter(requests.get, None), timeout=PATIENCE)
    for request, response in SIZES:
        requests.put(asking(request, response))
        assert len(next(call).payload.body) == response
    requests.put(None)
    assert list(call) == []


def empty_stream(stub):
    assert list(stub.FullDuplexCall(iter(()), timeout=PATIENCE)) == []


def timeout_on_sleeping_server(stub):
    requests = queue.SimpleQueue()
    requests.put(messages.StreamingOutputCallRequest(payload=payload(27182)))
    call = stub.FullDuplexCall(iter(requests.get, None), timeout=0.001)
    fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(call))
    requests.put(None)


def cancel_after_begin(stub):
    requests = queue.SimpleQueue()
    call = stub.StreamingInputCall.future(iter(requests.get, None), timeout=PATIENCE)
    call.cancel()
    assert call.code() == grpc.StatusCode.CANCELLED
    requests.put(None)


def cancel_after_first_response(stub):
    requests = queue.SimpleQueue()
    requests.put(asking(27182, 31415))
    call = stub.FullDuplexCall(iter(requests.get, None), timeout=PATIENCE)
    assert len(next(call).payload.body) == 31415
    call.cancel()
    fails(grpc.StatusCode.CANCELLED, lambda: next(call))
    requests.put(None)


def status_code_and_message(stub):
    status = messages.EchoStatus(code=2, message="test status message")
    unary = fails(
        grpc.StatusCode.UNKNOWN,
        lambda: stub.UnaryCall(messages.SimpleRequest(response_status=status), timeout=PATIENCE),
    )
    request = messages.StreamingOutputCallRequest(response_status=status)
    duplex = fails(grpc.StatusCode.UNKNOWN, lambda: list(stub.FullDuplexCall(iter([request]), timeout=PATIENCE)))
    assert unary.details() == duplex.details() == status.message


def special_status_message(stub):
    status = messages.EchoStatus(code=2, message=DIFFICULT)
    failed = fails(
        grpc.StatusCode.UNKNOWN,
        lambda: stub.UnaryCall(messages.SimpleRequest(response_status=status), timeout=PATIENCE),
    )
    assert failed.details() == DIFFICULT


def custom_metadata(stub):
    sent = ((ECHO, "test_initial_metadata_value"), (ECHO_BINARY, b"\xab\xab\xab"))
    _, unary = stub.UnaryCall.with_call(large(), metadata=sent, timeout=PATIENCE)
    duplex = stub.FullDuplexCall(iter([asking(8, 9)]), metadata=sent, timeout=PATIENCE)
    assert len(list(duplex)) == 1
    for call in (unary, duplex):
        assert dict(call.initial_metadata())[ECHO] == "test_initial_metadata_value"
        assert dict(call.trailing_metadata())[ECHO_BINARY] == b"\xab\xab\xab"


def unimplemented_method(stub):
    fails(grpc.StatusCode.UNIMPLEMENTED, lambda: stub.UnimplementedCall(messages.Empty(), timeout=PATIENCE))


def unimplemented_service(stub):
    other = services.UnimplementedServiceStub(stub.channel)
    fails(grpc.StatusCode.UNIMPLEMENTED, lambda: other.UnimplementedCall(messages.Empty(), timeout=PATIENCE))


def fails(code, call):
    try:
        call()
    except grpc.RpcError as error:
        if error.code() == code:
            return error
        raise
    raise AssertionError(f"no {code}")


CASES = (
    empty_unary, large_unary, concurrent_large_unary, client_streaming, server_streaming, ping_pong,
    empty_stream, timeout_on_sleeping_server, cancel_after_begin, cancel_after_first_response,
    status_code_and_message, special_status_message, custom_metadata, unimplemented_method, unimplemented_service,
)  # fmt: skip


def main():
    came = {}
    with grpc.insecure_channel(sys.argv[1]) as channel:
        stub = services.TestServiceStub(channel)
        stub.channel = channel
        for case in CASES:
            try:
                case(stub)
                came[case.__name__] = "ok"
            except Exception as error:
                came[case.__name__] = repr(error)
    print(json.dumps(came))


if __name__ == "__main__":
    main()
