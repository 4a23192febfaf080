//! The detect stage: reads as often as it takes until the first byte that settles what a connection speaks.
//!
//! What the bytes mean is weft-core's to say. A silent connection counts as opaque when the time is up (availability over precision);
//! the bytes that were read go back in front of the stream.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};
use weft_core::detect::{self, Kind};
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
