//! The names, words and buckets of everything that exchanges and connections count. Linkerd's, where Linkerd has one.

use crate::metrics::{Family, Kind};

macro_rules! families {
    ($($(#[$doc:meta])* $id:ident $name:literal $kind:expr, $help:literal;)*) => {
        $(pub(super) static $id: Family = Family { name: $name, help: $help, kind: $kind };)*
        /// All of them, for the reference.
        pub(crate) static ALL: &[&Family] = &[$(&$id,)*];
    };
}

families! {
    REQUEST "request_total" Kind::Counter, "Requests passed on.";
    RESPONSE "response_total" Kind::Counter, "Responses that ended, well or not.";
    LATENCY "response_latency_ms" Kind::Histogram(&LATENCY_MS), "Milliseconds from the head of a request to the first byte of its response's body, or its end.";

    OUTBOUND_HTTP_STATUSES "outbound_http_route_request_statuses_total" Kind::Counter, "Requests by route and how they ended.";
    OUTBOUND_GRPC_STATUSES "outbound_grpc_route_request_statuses_total" Kind::Counter, "gRPC requests by route and how they ended.";
    OUTBOUND_HTTP_DURATION "outbound_http_route_request_duration_seconds" Kind::Histogram(&ROUTE_SECONDS), "Seconds from the head of a request to the end of its response.";
    OUTBOUND_GRPC_DURATION "outbound_grpc_route_request_duration_seconds" Kind::Histogram(&ROUTE_SECONDS), "Seconds from the head of a gRPC request to the end of its response.";
    INBOUND_HTTP_REQUESTS "inbound_http_requests_total" Kind::Counter, "Requests by route.";
    INBOUND_GRPC_REQUESTS "inbound_grpc_requests_total" Kind::Counter, "gRPC requests by route.";
    INBOUND_HTTP_STATUSES "inbound_http_statuses_total" Kind::Counter, "Requests by route and how they ended.";
    INBOUND_GRPC_STATUSES "inbound_grpc_statuses_total" Kind::Counter, "gRPC requests by route and how they ended.";
    INBOUND_HTTP_DURATION "inbound_http_request_duration_seconds" Kind::Histogram(&ROUTE_SECONDS), "Seconds from the head of a request to the end of its response.";
    INBOUND_GRPC_DURATION "inbound_grpc_request_duration_seconds" Kind::Histogram(&ROUTE_SECONDS), "Seconds from the head of a gRPC request to the end of its response.";

    HTTP_ALLOW "inbound_http_authz_allow_total" Kind::Counter, "Requests that policy allowed.";
    HTTP_DENY "inbound_http_authz_deny_total" Kind::Counter, "Requests that policy denied.";
    NOT_FOUND "inbound_http_route_not_found_total" Kind::Counter, "Requests that matched no route.";
    TCP_ALLOW "inbound_tcp_authz_allow_total" Kind::Counter, "Opaque connections that policy allowed.";
    TCP_DENY "inbound_tcp_authz_deny_total" Kind::Counter, "Opaque connections that policy denied.";
    TCP_TERMINATE "inbound_tcp_authz_terminate_total" Kind::Counter, "Opaque connections that policy had allowed and a change of it ended.";
    HTTP_TERMINATE "inbound_http_authz_terminate_total" Kind::Counter, "Requests under way that policy had allowed and a change of it ended.";
    INBOUND_HTTP_ERRORS "inbound_http_errors_total" Kind::Counter, "Requests that this proxy answered with an error.";
    OUTBOUND_HTTP_ERRORS "outbound_http_errors_total" Kind::Counter, "Requests that this proxy answered with an error.";
    INBOUND_TCP_ERRORS "inbound_tcp_errors_total" Kind::Counter, "Connections that this proxy refused, and opaque ones that broke off.";
    OUTBOUND_TCP_ERRORS "outbound_tcp_errors_total" Kind::Counter, "Connections that this proxy refused, and opaque ones that broke off.";

    TCP_OPEN "tcp_open_total" Kind::Counter, "Connections opened.";
    TCP_OPEN_NOW "tcp_open_connections" Kind::Gauge, "Connections open now.";
    TCP_READ "tcp_read_bytes_total" Kind::Counter, "Bytes read from peers.";
    TCP_WRITE "tcp_write_bytes_total" Kind::Counter, "Bytes written to peers.";
    TCP_CLOSE "tcp_close_total" Kind::Counter, "Connections closed.";

    ACCESS_LOG_LOST "weft_access_log_lost_total" Kind::Counter, "Lines of the access log that were lost because standard error was not read.";
}

/// Retries that a route's policy asked for: begun, succeeded, one too many, and not possible because the body was not kept.
pub(super) static HTTP_RETRIES: [Family; 4] = [
    Family { name: "outbound_http_route_retry_requests_total", help: "Requests sent again by a route's policy.", kind: Kind::Counter },
    Family { name: "outbound_http_route_retry_successes_total", help: "Requests that succeeded after a retry.", kind: Kind::Counter },
    Family {
        name: "outbound_http_route_retry_limit_exceeded_total",
        help: "Failures after the last retry that was allowed.",
        kind: Kind::Counter,
    },
    Family {
        name: "outbound_http_route_retry_overflow_total",
        help: "Failures not retried: the request's body was not kept.",
        kind: Kind::Counter,
    },
];
pub(super) static GRPC_RETRIES: [Family; 4] = [
    Family { name: "outbound_grpc_route_retry_requests_total", help: "gRPC requests sent again by a route's policy.", kind: Kind::Counter },
    Family { name: "outbound_grpc_route_retry_successes_total", help: "gRPC requests that succeeded after a retry.", kind: Kind::Counter },
    Family {
        name: "outbound_grpc_route_retry_limit_exceeded_total",
        help: "gRPC failures after the last retry that was allowed.",
        kind: Kind::Counter,
    },
    Family {
        name: "outbound_grpc_route_retry_overflow_total",
        help: "gRPC failures not retried: the request's body was not kept.",
        kind: Kind::Counter,
    },
];

static LATENCY_MS: [f64; 25] = [
    1., 2., 3., 4., 5., 10., 20., 30., 40., 50., 100., 200., 300., 400., 500., 1000., 2000., 3000., 4000., 5000., 10_000., 20_000.,
    30_000., 40_000., 50_000.,
];
/// Fine enough to tell methods of a few milliseconds apart.
static ROUTE_SECONDS: [f64; 13] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1., 2., 5., 10.];
