//! The one place where a refusal becomes a response.
//!
//! HTTP clients get the status of the cause, gRPC clients get HTTP 200 with `grpc-status` and `grpc-message`; the words are those of the
//! refusal, which the log and the metrics use too. It never decides to refuse.

use std::fmt::Write as _;

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use weft_core::headers::{NOT_DELIVERED, PROXY_CONNECTION, PROXY_ERROR, Party};
use weft_core::outcome::Refusal;

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

/// The head of the answer; no body follows it. What tells about this proxy goes to the local application and to other proxies, never to
/// strangers; whether the request was delivered is between proxies.
pub(crate) fn response(refusal: &Refusal, asked: Asked, reader: Party) -> Response<()> {
    let informational = reader != Party::Stranger;
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
    if reader == Party::Peer && refusal.not_delivered() {
        headers.insert(NOT_DELIVERED, HeaderValue::from_static(refusal.cause.label()));
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

#[cfg(test)]
mod tests {
    use weft_core::outcome::{Blame, Cause, Retry, Stage};

    use super::*;

    fn refusal(cause: Cause, reason: &'static str) -> Refusal {
        Refusal::new(Stage::Route, Blame::Policy, Retry::Safe, cause, reason)
    }

    /// Requirement: each client is answered in its own terms, an HTTP client by status and a gRPC client by code in HTTP 200, with the same
    /// words; the connection of an HTTP/1 client is closed where the cause says so.
    #[test]
    fn each_client_is_answered_in_its_own_terms() {
        let http1 = Asked { version: Version::HTTP_11, grpc: false };
        let said = response(&refusal(Cause::FailFast, "no endpoint is ready"), http1, Party::Application);
        assert_eq!((said.status().as_u16(), said.version()), (504, Version::HTTP_11));
        let field = |name: &str| said.headers()[name].to_str().expect("text");
        assert_eq!([field("content-length"), field("l5d-proxy-error")], ["0", "no endpoint is ready"]);
        assert_eq!([field("l5d-proxy-connection"), field("connection")], ["close", "close"]);

        let denied = response(&refusal(Cause::Unauthorized, "no"), http1, Party::Stranger);
        assert_eq!(denied.status(), 403);
        assert_eq!(denied.headers().len(), 1, "only content-length: {denied:?}");

        let grpc = Asked { version: Version::HTTP_2, grpc: true };
        let said = response(&refusal(Cause::LoadShed, "100% full\nbusy é"), grpc, Party::Application);
        assert_eq!(said.status(), 200);
        assert_eq!(
            (&said.headers()["grpc-status"], &said.headers()["content-type"]),
            (&"14".parse().expect("value"), &"application/grpc".parse().expect("value"))
        );
        assert_eq!(said.headers()["grpc-message"], "100%25 full%0Abusy %C3%A9");
        assert_eq!(said.headers()["l5d-proxy-error"], "100% full?busy ?");
        assert!(!said.headers().contains_key(CONNECTION), "HTTP/2 has no such header");
    }

    /// Requirement: another proxy, and nobody else, is told that the connect to the application failed, in HTTP and in gRPC.
    #[test]
    fn only_a_peer_is_told_that_nothing_was_delivered() {
        let failed = Refusal::new(Stage::Connect, Blame::Server, Retry::Safe, Cause::ConnectFailed, "connection refused");
        for asked in [Asked { version: Version::HTTP_11, grpc: false }, Asked { version: Version::HTTP_2, grpc: true }] {
            for (reader, told, informed) in [(Party::Peer, true, true), (Party::Application, false, true), (Party::Stranger, false, false)]
            {
                let said = response(&failed, asked, reader);
                assert_eq!(said.headers().contains_key(NOT_DELIVERED), told, "{reader:?}");
                assert_eq!(said.headers().contains_key(PROXY_ERROR), informed, "{reader:?}");
                assert_eq!(said.headers().contains_key(PROXY_CONNECTION), informed, "{reader:?}");
            }
            let denied = response(&refusal(Cause::Unauthorized, "no"), asked, Party::Peer);
            assert!(!denied.headers().contains_key(NOT_DELIVERED), "a denial is the same everywhere");
        }
    }

    /// Requirement: gRPC is HTTP/2 with a content type of that name or one derived from it; grpc-web is not.
    #[test]
    fn grpc_is_recognised() {
        for (version, kind, grpc) in [
            (Version::HTTP_2, "application/grpc", true),
            (Version::HTTP_2, "application/grpc+proto", true),
            (Version::HTTP_2, "application/grpc; charset=utf-8", true),
            (Version::HTTP_2, "application/grpc-web", false),
            (Version::HTTP_2, "text/plain", false),
            (Version::HTTP_11, "application/grpc", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(Asked::of(version, &headers).grpc, grpc, "{version:?} {kind}");
        }
    }
}
