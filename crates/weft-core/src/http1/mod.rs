//! HTTP/1.0 and 1.1 as bytes: decides where a message begins and ends and what it says, without any I/O.
//!
//! The head is parsed by `httparse`; framing (RFC 9112 §6), chunked coding, connection management and every rejection are
//! decided here. A message that two readers could understand differently is rejected with a reason, never repaired: a proxy
//! that guesses lets a request be smuggled past policy.
//!
//! This module never reads a socket, never knows the time, and never decodes or re-encodes the bytes of a field value.

mod body;
mod connection;
mod encode;
mod framing;
mod head;
#[cfg(test)]
mod tests;

pub use body::{BodyDecoder, ChunkedDecoder, Piece};
pub use connection::{keep_alive, strip_hop_by_hop, upgrade_requested};
pub use encode::{chunk_end, encode_chunk_size, encode_last_chunk, encode_request, encode_response};
pub use framing::{BodyFraming, request_framing, response_framing, response_has_no_body};
pub use head::{Reason, parse_request, parse_response};

use http::StatusCode;

/// How much of a head is read before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the request line, line end included; more is 414. Default 32 KiB: longer than any browser sends.
    pub request_line: usize,
    /// Bytes of the whole head, and of a trailer section; more is 431. Default 64 KiB.
    pub head: usize,
    /// Field lines in a head or a trailer section, at most 256; more is 431. Default 128.
    pub headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_line: 32 * 1024, head: 64 * 1024, headers: 128 }
    }
}

/// A message that is not forwarded, and the answer that its sender gets. For a response the status is 502.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// What the client is told.
    pub status: StatusCode,
    /// One lower-case clause, the same in the response, the log and the metric.
    pub reason: &'static str,
}

impl Rejected {
    pub(crate) const fn bad(reason: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, reason }
    }

    pub(crate) const fn too_large(reason: &'static str) -> Self {
        Self { status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, reason }
    }

    /// The same fault in a response: it is the server's, and the client can only be told 502.
    pub(crate) const fn in_response(self) -> Self {
        Self { status: StatusCode::BAD_GATEWAY, reason: self.reason }
    }
}

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason)
    }
}

impl std::error::Error for Rejected {}
