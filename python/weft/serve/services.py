"""Which gRPC method is answered by what: the three services as handlers of raw bytes.

Messages come serialised from the shared answers, so the handlers serialise nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from weft.answers import Answers
from weft.compile import Question
from weft.compile.answer import Unanswerable
from weft.gen import destination_pb2, identity_pb2, inbound_pb2, outbound_pb2
from weft.serve import ask, stream
from weft.serve.certify import Certify
from weft.serve.gauges import Gauges
from weft.serve.stream import Context

M = TypeVar("M", bound=Message)
Handler: TypeAlias = "grpc.GenericRpcHandler[bytes, bytes]"


def identity(certify: Certify) -> Handler:
    """Return the identity service."""
    method = grpc.unary_unary_rpc_method_handler(
        certify.certify, request_deserializer=identity_pb2.CertifyRequest.FromString
    )
    return grpc.method_handlers_generic_handler("io.linkerd.proxy.identity.Identity", {"Certify": method})


def destination(answers: Answers, gauges: Gauges) -> Handler:
    """Return the destination service."""
    domain = answers.snapshot.settings.cluster_domain
    request = destination_pb2.GetDestination
    methods = {
        "Get": _watch("Get", request, lambda asked: ask.get(asked, domain), answers, gauges),
        "GetProfile": _watch("GetProfile", request, lambda asked: ask.get_profile(asked, domain), answers, gauges),
    }
    return grpc.method_handlers_generic_handler("io.linkerd.proxy.destination.Destination", methods)


def inbound(answers: Answers, gauges: Gauges) -> Handler:
    """Return the inbound policy service."""
    request = inbound_pb2.PortSpec
    methods = {
        "GetPort": _once(request, ask.inbound, answers),
        "WatchPort": _watch("WatchPort", request, ask.inbound, answers, gauges),
    }
    return grpc.method_handlers_generic_handler("io.linkerd.proxy.inbound.InboundServerPolicies", methods)


def outbound(answers: Answers, gauges: Gauges) -> Handler:
    """Return the outbound policy service."""
    domain = answers.snapshot.settings.cluster_domain
    request = outbound_pb2.TrafficSpec
    methods = {
        "Get": _once(request, lambda asked: ask.outbound(asked, domain), answers),
        "Watch": _watch("Watch", request, lambda asked: ask.outbound(asked, domain), answers, gauges),
    }
    return grpc.method_handlers_generic_handler("io.linkerd.proxy.outbound.OutboundPolicies", methods)


Read = Callable[[M], Question | Unanswerable]


def _once(request: type[M], read: Read[M], answers: Answers) -> grpc.RpcMethodHandler[bytes, bytes]:
    async def handle(asked: M, context: Context) -> bytes:
        return await stream.once(read(asked), answers, context)

    return grpc.unary_unary_rpc_method_handler(handle, request_deserializer=request.FromString)


def _watch(
    name: str, request: type[M], read: Read[M], answers: Answers, gauges: Gauges
) -> grpc.RpcMethodHandler[bytes, bytes]:
    async def handle(asked: M, context: Context) -> None:
        with gauges.stream(name):
            await stream.watch(read(asked), answers, context)

    return grpc.unary_stream_rpc_method_handler(handle, request_deserializer=request.FromString)
