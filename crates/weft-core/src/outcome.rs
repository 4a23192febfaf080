//! The one vocabulary for what went wrong, or right.
//!
//! Decides how a refusal is named: which stage said no, whose fault it is and whether the same request may safely be sent again.
//! The response to the client, the log line and the metric label are all made from these values, so they cannot disagree.
//! It never renders a response: `http::refuse` in the proxy does.

use std::borrow::Cow;
use std::fmt;

/// The stage of a connection or request that refused it. The names are the file names of the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    Accept,
    Transport,
    Identify,
    Discover,
    Detect,
    Authorize,
    Route,
    Limit,
    Balance,
    Connect,
    Exchange,
}

impl Stage {
    /// In the order in which a connection comes to them.
    pub const ALL: [Stage; 11] = [
        Stage::Accept,
        Stage::Transport,
        Stage::Identify,
        Stage::Discover,
        Stage::Detect,
        Stage::Authorize,
        Stage::Route,
        Stage::Limit,
        Stage::Balance,
        Stage::Connect,
        Stage::Exchange,
    ];

    /// As it is written in log lines and in the metric label `stage`.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Accept => "accept",
            Stage::Transport => "transport",
            Stage::Identify => "identify",
            Stage::Discover => "discover",
            Stage::Detect => "detect",
            Stage::Authorize => "authorize",
            Stage::Route => "route",
            Stage::Limit => "limit",
            Stage::Balance => "balance",
            Stage::Connect => "connect",
            Stage::Exchange => "exchange",
        }
    }
}

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The peer that sent the request or opened the connection.
    Client,
    /// The application or proxy that the request was sent to.
    Server,
    /// What the mesh was told to do: policy, route, limit.
    Policy,
    /// This proxy.
    Proxy,
}

impl Blame {
    pub const ALL: [Blame; 4] = [Blame::Client, Blame::Server, Blame::Policy, Blame::Proxy];

    /// As it is written in log lines and in the metric label `blame`.
    pub fn name(self) -> &'static str {
        match self {
            Blame::Client => "client",
            Blame::Server => "server",
            Blame::Policy => "policy",
            Blame::Proxy => "proxy",
        }
    }
}

/// Whether the request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Not a byte of the request reached an application.
    Safe,
    /// The application may have acted on it.
    Unsafe,
}

impl Retry {
    pub const ALL: [Retry; 2] = [Retry::Safe, Retry::Unsafe];

    /// As it is written in log lines and in the metric label `retry`.
    pub fn name(self) -> &'static str {
        match self {
            Retry::Safe => "safe",
            Retry::Unsafe => "unsafe",
        }
    }
}

/// Why a request or connection is refused, as one small closed set. Each has exactly one HTTP status and one gRPC code
/// (the error table of Linkerd, so that clients of both meshes see the same). `tests/vectors/refusals.json` is that table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The request itself is not valid HTTP or is ambiguous (RFC 9112): 400, 414, 431 ...
    BadRequest(u16),
    /// No identity, or one that policy does not admit: 403 / PERMISSION_DENIED.
    Unauthorized,
    /// No route matches: 404 / NOT_FOUND.
    NoRoute,
    /// More requests than a rate limit allows: 429 / RESOURCE_EXHAUSTED.
    RateLimited,
    /// A filter of the route answers in place of a backend: its status / its gRPC code.
    Injected { status: u16, grpc: u32 },
    /// No endpoint became ready within the fail-fast time: 504 / DEADLINE_EXCEEDED.
    FailFast,
    /// A queue or a limit of the proxy is full: 503 / UNAVAILABLE.
    LoadShed,
    /// A timeout set by policy ran out: 504 / DEADLINE_EXCEEDED.
    Timeout,
    /// The connection to the server could not be opened in time: 504 / DEADLINE_EXCEEDED.
    ConnectTimeout,
    /// The connection to the server was refused: 502 / UNAVAILABLE.
    ConnectFailed,
    /// This workload has no certificate by which it could prove itself: 502 / UNAVAILABLE.
    NoCertificate,
    /// The request demands an identity that the endpoint does not have: 502 / UNAVAILABLE.
    IdentityMismatch,
    /// The server went away or broke the protocol after the request was sent: 502 / UNAVAILABLE.
    ServerBroke,
    /// The client went away, or broke its connection, before it had its answer. Nobody is left to be answered: 499 / CANCELLED.
    ClientGone,
    /// Something that should not be: 500 / INTERNAL.
    Unexpected,
}

impl Cause {
    /// The HTTP status that a client sees.
    pub fn status(self) -> u16 {
        match self {
            Cause::BadRequest(status) | Cause::Injected { status, .. } => status,
            Cause::Unauthorized => 403,
            Cause::NoRoute => 404,
            Cause::RateLimited => 429,
            Cause::ClientGone => 499,
            Cause::FailFast | Cause::Timeout | Cause::ConnectTimeout => 504,
            Cause::LoadShed => 503,
            Cause::ConnectFailed | Cause::NoCertificate | Cause::IdentityMismatch | Cause::ServerBroke => 502,
            Cause::Unexpected => 500,
        }
    }

    /// The gRPC status code that a gRPC client sees (numbers of the gRPC status code registry).
    pub fn grpc_status(self) -> u32 {
        match self {
            Cause::Injected { grpc, .. } => grpc,
            Cause::BadRequest(_) | Cause::Unexpected => 13,
            Cause::Unauthorized => 7,
            Cause::NoRoute => 5,
            Cause::RateLimited => 8,
            Cause::ClientGone => 1,
            Cause::FailFast | Cause::Timeout | Cause::ConnectTimeout => 4,
            Cause::LoadShed | Cause::ConnectFailed | Cause::NoCertificate | Cause::IdentityMismatch | Cause::ServerBroke => 14,
        }
    }

    /// Whether the client's connection is told to close, so that the client opens another one.
    pub fn closes(self) -> bool {
        matches!(
            self,
            Cause::BadRequest(_)
                | Cause::FailFast
                | Cause::LoadShed
                | Cause::ConnectTimeout
                | Cause::ConnectFailed
                | Cause::NoCertificate
                | Cause::IdentityMismatch
                | Cause::ServerBroke
                | Cause::ClientGone
                | Cause::Unexpected
        )
    }

    /// The metric label `error`.
    pub fn label(self) -> &'static str {
        match self {
            Cause::BadRequest(_) => "bad_request",
            Cause::Unauthorized => "unauthorized",
            Cause::NoRoute => "no_route",
            Cause::RateLimited => "rate_limited",
            Cause::Injected { .. } => "injected",
            Cause::FailFast => "fail_fast",
            Cause::LoadShed => "load_shed",
            Cause::Timeout => "timeout",
            Cause::ConnectTimeout => "connect_timeout",
            Cause::ConnectFailed => "connect_failed",
            Cause::NoCertificate => "no_certificate",
            Cause::IdentityMismatch => "identity_mismatch",
            Cause::ServerBroke => "server_broke",
            Cause::ClientGone => "client_gone",
            Cause::Unexpected => "unexpected",
        }
    }
}

/// A request or connection that goes no further, and everything anybody will want to know about why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub stage: Stage,
    pub blame: Blame,
    pub retry: Retry,
    pub cause: Cause,
    /// One sentence for a person, the same in response header, log and `weft` output.
    pub reason: Cow<'static, str>,
}

impl Refusal {
    pub fn new(stage: Stage, blame: Blame, retry: Retry, cause: Cause, reason: impl Into<Cow<'static, str>>) -> Self {
        Refusal { stage, blame, retry, cause, reason: reason.into() }
    }

    /// Whether the server's proxy may tell the client's proxy that the request never reached the application, so that any other endpoint
    /// may have it. A full proxy does not say so: sending its load round the others would fill them too.
    pub fn not_delivered(&self) -> bool {
        self.retry == Retry::Safe && self.blame == Blame::Server && matches!(self.cause, Cause::ConnectFailed | Cause::ConnectTimeout)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage.name(), self.reason)
    }
}

impl std::error::Error for Refusal {}

/// Whether a finished exchange counts as a success (label `classification`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    Success,
    Failure,
}

impl Class {
    pub fn label(self) -> &'static str {
        match self {
            Class::Success => "success",
            Class::Failure => "failure",
        }
    }
}

/// Classifies a response that has ended: HTTP 5xx fails; of gRPC codes UNKNOWN, DEADLINE_EXCEEDED, PERMISSION_DENIED, INTERNAL,
/// UNAVAILABLE and DATA_LOSS do. `grpc_status` is the value of the trailer, or of the head of a trailers-only response.
pub fn classify(status: u16, grpc_status: Option<u32>) -> Class {
    let failed = match grpc_status {
        Some(code) => matches!(code, 2 | 4 | 7 | 13 | 14 | 15),
        None => status >= 500,
    };
    if failed { Class::Failure } else { Class::Success }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement: gRPC failures hide behind HTTP 200 and are found by their code; INVALID_ARGUMENT and NOT_FOUND are the caller's affair.
    #[test]
    fn grpc_codes_decide_over_the_http_status() {
        for (code, class) in [
            (0, Class::Success),
            (3, Class::Success),
            (5, Class::Success),
            (8, Class::Success),
            (2, Class::Failure),
            (13, Class::Failure),
            (14, Class::Failure),
        ] {
            assert_eq!(classify(200, Some(code)), class, "grpc-status {code}");
        }
        assert_eq!(classify(503, None), Class::Failure);
        assert_eq!(classify(429, None), Class::Success);
    }
}
