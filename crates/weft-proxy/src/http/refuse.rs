//! The one place where a refusal becomes a response.
//!
//! HTTP clients get the status of the cause, gRPC clients get HTTP 200 with `grpc-status` and `grpc-message`; the words are those of the
//! refusal, which the log and the metrics use too. It never decides to refuse.

use std::fmt::Write as _;

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use weft_core::outcome::Refusal;

use super::{Broken, Sink};

/// What a refusal has to know of the request, taken before the head goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) version: Version,
    pub(crate) grpc: bool,
}

impl Asked {
    pub(crate) fn of(version: Version, headers: &HeaderMap) -> Self {
        Asked { version, grpc: version == Version::HTTP_2 && is_grpc(headers) }
    }
}

/// Whether the message says that it is gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes) else { return false };
    kind.strip_prefix(b"application/grpc").is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// Answers with the refusal. `informational` allows headers that tell about this proxy: to the local application always, to clients
/// outside the mesh never.
pub(crate) async fn send(sink: Sink, refusal: &Refusal, asked: Asked, informational: bool) -> Result<(), Broken> {
    sink.respond(response(refusal, asked, informational), true).await.map(drop)
}

/// The head of the answer; no body follows it.
pub(crate) fn response(refusal: &Refusal, asked: Asked, informational: bool) -> Response<()> {
    let mut response = Response::new(());
    let http1 = matches!(asked.version, Version::HTTP_10 | Version::HTTP_11 | Version::HTTP_09);
    *response.version_mut() = asked.version;
    if !asked.grpc {
        *response.status_mut() = StatusCode::from_u16(refusal.cause.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, 0.into());
    if asked.grpc {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(GRPC_STATUS, refusal.cause.grpc_status().into());
        headers.insert(GRPC_MESSAGE, grpc_message(&refusal.reason));
    }
    if informational {
        headers.insert(PROXY_ERROR, plain(&refusal.reason));
    }
    if refusal.cause.closes() {
        if informational {
            headers.insert(PROXY_CONNECTION, HeaderValue::from_static("close"));
        }
        if http1 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
    response
}

/// The trailers that end a gRPC response whose server went away in the middle, in place of a reset that says less.
pub(crate) fn grpc_trailers(refusal: &Refusal) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    trailers.insert(GRPC_STATUS, refusal.cause.grpc_status().into());
    trailers.insert(GRPC_MESSAGE, grpc_message(&refusal.reason));
    trailers
}

/// Percent-encoded as the gRPC protocol wants it: printable ASCII stays, except the percent sign.
fn grpc_message(reason: &str) -> HeaderValue {
    let mut message = String::with_capacity(reason.len());
    for byte in reason.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            message.push(byte.into());
        } else {
            // Writing to a string does not fail.
            let _ = write!(message, "%{byte:02X}");
        }
    }
    HeaderValue::try_from(message).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// A header value can hold no control characters; a reason may, if it quotes a peer.
fn plain(reason: &str) -> HeaderValue {
    let text: String = reason.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' }).collect();
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const PROXY_ERROR: HeaderName = HeaderName::from_static("l5d-proxy-error");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("l5d-proxy-connection");
