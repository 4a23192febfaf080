//! The detect stage: reads as often as it takes until the first byte that settles what a connection speaks.
//!
//! What the bytes mean is weft-core's to say. A silent connection counts as opaque when the time is up (availability over precision);
//! the bytes that were read go back in front of the stream.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};
use weft_core::detect::{self, Hello, Kind, client_hello};
use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};

use crate::io::Io;

/// Enough for a request line; most heads come in one read.
const READ: usize = 1024;

/// Tells what the stream speaks and gives it back as it was.
pub(crate) async fn http(mut io: Io, timeout: Duration) -> Result<(Kind, Io), Refusal> {
    let mut seen = BytesMut::new();
    let kind = until(&mut io, &mut seen, timeout, detect::http).await?;
    Ok((kind.unwrap_or(Kind::Opaque), io.with_prefix(seen.freeze())))
}

/// The same, and tells TLS by its server name as well: for bytes that have not been looked at for TLS before.
pub(crate) async fn any(mut io: Io, timeout: Duration) -> Result<(Kind, Io), Refusal> {
    let mut seen = BytesMut::new();
    let kind = until(&mut io, &mut seen, timeout, tls_or_http).await?;
    Ok((kind.unwrap_or(Kind::Opaque), io.with_prefix(seen.freeze())))
}

fn tls_or_http(bytes: &[u8]) -> Option<Kind> {
    match client_hello(bytes) {
        Hello::NeedMore => None,
        Hello::Sni(sni) => Some(Kind::Tls { sni }),
        Hello::NotTls => detect::http(bytes),
    }
}

/// Reads until `decide` settles, the peer ends its side, or the time is up (`None`). Errors when the peer goes away without a byte.
pub(crate) async fn until<T>(
    io: &mut (impl AsyncRead + Unpin),
    seen: &mut BytesMut,
    timeout: Duration,
    decide: impl Fn(&[u8]) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    let reading = async {
        loop {
            seen.reserve(READ);
            match io.read_buf(seen).await {
                Ok(0) if seen.is_empty() => return Err(gone("the connection was closed before a byte was sent".into())),
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) => return Err(gone(format!("the connection failed before its protocol was known: {error}"))),
            }
            if let Some(answer) = decide(seen) {
                return Ok(Some(answer));
            }
        }
    };
    tokio::time::timeout(timeout, reading).await.unwrap_or(Ok(None))
}

fn gone(reason: String) -> Refusal {
    Refusal::new(Stage::Detect, Blame::Client, Retry::Safe, Cause::ClientGone, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement: PROXY protocol of either version in front of a request is no HTTP, at the first byte that shows it: its bytes pass as
    /// they are. Bytes that only begin like TLS do not keep a connection waiting.
    #[test]
    fn what_is_neither_tls_nor_http() {
        for (bytes, at) in [
            (&b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n"[..], 12),
            (b"PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n", 14),
            (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", 5),
            (b"\x16\x03\x01\x00\x05\x02", 6),
            (b"\x16mqtt", 2),
        ] {
            assert_eq!(tls_or_http(&bytes[..at - 1]), None, "{}", bytes.escape_ascii());
            assert_eq!(tls_or_http(&bytes[..at]), Some(Kind::Opaque), "{}", bytes.escape_ascii());
        }
        assert_eq!(tls_or_http(b"GET / HTTP/1.1\r\n"), Some(Kind::Http1));
    }
}
