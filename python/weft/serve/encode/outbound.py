"""Outbound policies. HTTP and gRPC routes have the same shape in different messages, so both are written out."""

from weft.compile.answer import (
    Backend,
    Balance,
    Fail,
    OpaqueRoute,
    OutboundPolicy,
    OutboundRoute,
    OutboundRule,
    Protocol,
)
from weft.gen import grpc_route_pb2, http_route_pb2, opaque_route_pb2
from weft.gen import outbound_pb2 as pb
from weft.model.retry import NO_TIMEOUTS, Retry, Timeouts
from weft.model.route import Filter, GrpcMatch, HeaderEdit, HttpMatch, Redirect
from weft.serve.encode import destination, wire


def policy(told: OutboundPolicy) -> pb.OutboundPolicy:
    """Return one target's policy."""
    return pb.OutboundPolicy(protocol=_protocol(told), metadata=wire.metadata(told.about))


def _protocol(told: OutboundPolicy) -> pb.ProxyProtocol:
    http = [_http(each) for each in told.http]
    if told.protocol is Protocol.OPAQUE:
        return pb.ProxyProtocol(opaque=pb.ProxyProtocol.Opaque(routes=[_opaque(told.opaque)]))
    if told.protocol is Protocol.GRPC:
        return pb.ProxyProtocol(grpc=pb.ProxyProtocol.Grpc(routes=[_grpc(each) for each in told.grpc]))
    if told.protocol is Protocol.HTTP1:
        return pb.ProxyProtocol(http1=pb.ProxyProtocol.Http1(routes=http))
    if told.protocol is Protocol.HTTP2:
        return pb.ProxyProtocol(http2=pb.ProxyProtocol.Http2(routes=http))
    return pb.ProxyProtocol(
        detect=pb.ProxyProtocol.Detect(
            timeout=wire.duration(told.detect_timeout),
            opaque=pb.ProxyProtocol.Opaque(routes=[_opaque(told.opaque)]),
            http1=pb.ProxyProtocol.Http1(routes=http),
            http2=pb.ProxyProtocol.Http2(routes=http),
        )
    )


def _http(route: OutboundRoute) -> pb.HttpRoute:
    rules = [_http_rule(each) for each in route.rules]
    return pb.HttpRoute(
        metadata=wire.metadata(route.about), hosts=[wire.host(each) for each in route.hosts], rules=rules
    )


def _http_rule(rule: OutboundRule) -> pb.HttpRoute.Rule:
    result = pb.HttpRoute.Rule(
        matches=[wire.http_match(each) for each in rule.matches if isinstance(each, HttpMatch)],
        filters=_http_filters(rule.filters, rule.failure),
        backends=_http_backends(rule),
        allow_l5d_request_headers=rule.allow_request_headers,
    )
    if rule.timeouts.request is not None:
        result.requestTimeout.CopyFrom(wire.duration(rule.timeouts.request))  # what proxies before 2.366 read
    if rule.timeouts != NO_TIMEOUTS:
        result.timeouts.CopyFrom(_timeouts(rule.timeouts))
    if rule.retry is not None:
        result.retry.CopyFrom(_http_retry(rule.retry))
    return result


def _http_retry(retry: Retry) -> pb.HttpRoute.Retry:
    ranges = [pb.HttpRoute.Retry.Conditions.StatusRange(start=first, end=last) for first, last in retry.statuses]
    return pb.HttpRoute.Retry(
        max_retries=retry.limit,
        max_request_bytes=KEPT_BYTES,
        conditions=pb.HttpRoute.Retry.Conditions(status_ranges=ranges),
        timeout=None if retry.timeout is None else wire.duration(retry.timeout),
        backoff=_backoff(),
    )


def _timeouts(told: Timeouts) -> http_route_pb2.Timeouts:
    named = {"request": told.request, "response": told.response, "idle": told.idle}
    return http_route_pb2.Timeouts(**{name: wire.duration(each) for name, each in named.items() if each is not None})


def _backoff() -> pb.ExponentialBackoff:
    least, most = wire.duration(0.025), wire.duration(0.25)
    return pb.ExponentialBackoff(min_backoff=least, max_backoff=most, jitter_ratio=1.0)


def _http_backends(rule: OutboundRule) -> pb.HttpRoute.Distribution:
    backends = [
        pb.HttpRoute.RouteBackend(backend=_backend(each), filters=_http_filters(each.filters, each.failure))
        for each in rule.backends
    ]
    if not any(each.weight for each in rule.backends):
        return pb.HttpRoute.Distribution(empty=pb.HttpRoute.Distribution.Empty())
    if len(backends) == 1:
        first = pb.HttpRoute.Distribution.FirstAvailable(backends=backends)
        return pb.HttpRoute.Distribution(first_available=first)
    weighted = [
        pb.HttpRoute.WeightedRouteBackend(backend=backend, weight=each.weight)
        for backend, each in zip(backends, rule.backends, strict=True)
    ]
    return pb.HttpRoute.Distribution(random_available=pb.HttpRoute.Distribution.RandomAvailable(backends=weighted))


def _http_filters(filters: tuple[Filter, ...], failure: Fail | None) -> list[pb.HttpRoute.Filter]:
    result = []
    for each in filters:
        if isinstance(each, Redirect):
            result.append(pb.HttpRoute.Filter(redirect=wire.redirect(each)))
        elif isinstance(each, HeaderEdit) and each.on_response:
            result.append(pb.HttpRoute.Filter(response_header_modifier=wire.response_headers(each)))
        elif isinstance(each, HeaderEdit):
            result.append(pb.HttpRoute.Filter(request_header_modifier=wire.request_headers(each)))
    if failure is not None:
        always = http_route_pb2.Ratio(numerator=1, denominator=1)
        injector = http_route_pb2.HttpFailureInjector(status=failure.status, message=failure.message, ratio=always)
        result.append(pb.HttpRoute.Filter(failure_injector=injector))
    return result


def _grpc(route: OutboundRoute) -> pb.GrpcRoute:
    rules = [_grpc_rule(each) for each in route.rules]
    return pb.GrpcRoute(
        metadata=wire.metadata(route.about), hosts=[wire.host(each) for each in route.hosts], rules=rules
    )


def _grpc_rule(rule: OutboundRule) -> pb.GrpcRoute.Rule:
    result = pb.GrpcRoute.Rule(
        matches=[wire.grpc_match(each) for each in rule.matches if isinstance(each, GrpcMatch)],
        filters=_grpc_filters(rule.filters, rule.failure),
        backends=_grpc_backends(rule),
        allow_l5d_request_headers=rule.allow_request_headers,
    )
    if rule.timeouts.request is not None:
        result.requestTimeout.CopyFrom(wire.duration(rule.timeouts.request))
    if rule.timeouts != NO_TIMEOUTS:
        result.timeouts.CopyFrom(_timeouts(rule.timeouts))
    if rule.retry is not None:
        result.retry.CopyFrom(_grpc_retry(rule.retry))
    return result


def _grpc_retry(retry: Retry) -> pb.GrpcRoute.Retry:
    on = pb.GrpcRoute.Retry.Conditions()
    for field in on.DESCRIPTOR.fields:
        setattr(on, field.name, field.number in retry.codes)  # a field's number is the code that it stands for
    return pb.GrpcRoute.Retry(
        max_retries=retry.limit,
        max_request_bytes=KEPT_BYTES,
        conditions=on,
        timeout=None if retry.timeout is None else wire.duration(retry.timeout),
        backoff=_backoff(),
    )


def _grpc_backends(rule: OutboundRule) -> pb.GrpcRoute.Distribution:
    backends = [
        pb.GrpcRoute.RouteBackend(backend=_backend(each), filters=_grpc_filters(each.filters, each.failure))
        for each in rule.backends
    ]
    if not any(each.weight for each in rule.backends):
        return pb.GrpcRoute.Distribution(empty=pb.GrpcRoute.Distribution.Empty())
    if len(backends) == 1:
        first = pb.GrpcRoute.Distribution.FirstAvailable(backends=backends)
        return pb.GrpcRoute.Distribution(first_available=first)
    weighted = [
        pb.GrpcRoute.WeightedRouteBackend(backend=backend, weight=each.weight)
        for backend, each in zip(backends, rule.backends, strict=True)
    ]
    return pb.GrpcRoute.Distribution(random_available=pb.GrpcRoute.Distribution.RandomAvailable(backends=weighted))


def _grpc_filters(filters: tuple[Filter, ...], failure: Fail | None) -> list[pb.GrpcRoute.Filter]:
    result = [
        pb.GrpcRoute.Filter(request_header_modifier=wire.request_headers(each))
        for each in filters
        if isinstance(each, HeaderEdit) and not each.on_response
    ]
    if failure is not None:
        always = http_route_pb2.Ratio(numerator=1, denominator=1)
        injector = grpc_route_pb2.GrpcFailureInjector(code=GRPC_INTERNAL, message=failure.message, ratio=always)
        result.append(pb.GrpcRoute.Filter(failure_injector=injector))
    return result


def _opaque(route: OpaqueRoute) -> pb.OpaqueRoute:
    """Return the one route with the one rule that a proxy asks for."""
    if route.forbidden or route.backend is None:
        rule = pb.OpaqueRoute.Rule(
            backends=pb.OpaqueRoute.Distribution(empty=pb.OpaqueRoute.Distribution.Empty()),
            filters=[pb.OpaqueRoute.Filter(forbidden=opaque_route_pb2.Forbidden())],
        )
    else:
        backends = [pb.OpaqueRoute.RouteBackend(backend=_backend(route.backend))]
        first = pb.OpaqueRoute.Distribution.FirstAvailable(backends=backends)
        rule = pb.OpaqueRoute.Rule(backends=pb.OpaqueRoute.Distribution(first_available=first))
    return pb.OpaqueRoute(metadata=wire.metadata(route.about), rules=[rule])


def _backend(each: Backend) -> pb.Backend:
    """Return a backend; one that does not exist has no kind, as in Linkerd, and a filter that answers for it."""
    queue = pb.Queue(capacity=QUEUE_CAPACITY, failfast_timeout=wire.duration(FAILFAST_SECONDS))
    result = pb.Backend(metadata=wire.metadata(each.about), queue=queue)
    if each.to is None:
        return result
    if isinstance(each.to, Balance):
        load = pb.Backend.BalanceP2c.PeakEwma(default_rtt=wire.duration(0.03), decay=wire.duration(10))
        get = pb.Backend.EndpointDiscovery.DestinationGet(path=each.to.authority)
        result.balancer.CopyFrom(pb.Backend.BalanceP2c(discovery=pb.Backend.EndpointDiscovery(dst=get), peak_ewma=load))
    else:
        result.forward.CopyFrom(destination.endpoint(each.to.endpoint))
    return result


QUEUE_CAPACITY = 100
FAILFAST_SECONDS = 3.0
GRPC_INTERNAL = 13
KEPT_BYTES = 64 * 1024
"""Of a request's body, for another attempt."""
