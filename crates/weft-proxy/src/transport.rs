//! The transport stage of inbound connections: mesh TLS with its transport header, foreign TLS, or plain bytes.
//!
//! Decides which of the three a connection is and which application address it is meant for. It never decides who may connect.

use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use weft_core::detect::{Hello, client_hello};
use weft_core::identity::Client;
use weft_core::model::InboundProtocol;
use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};
use weft_core::transport_header::{Decoded, TransportHeader};

use crate::accept::Accepted;
use crate::account::{Arrival, Direction, Peer, Tls};
use crate::io::{Io, Prefixed};
use crate::worker::Worker;
use crate::{clock, detect, tls};

/// An inbound connection of which it is known who sent it and which address of the application it is for.
pub(crate) struct Arrived {
    pub(crate) io: Io,
    pub(crate) arrival: Arrival,
    /// Whether nothing is left to detect: foreign TLS is passed on as bytes, and so is a port that is declared opaque, and what the client's
    /// proxy found to be no HTTP. Looking again would keep a client waiting whose server speaks first.
    pub(crate) opaque: bool,
}

pub(crate) async fn open(accepted: Accepted, worker: &Worker) -> Result<Arrived, Refusal> {
    let direct = accepted.original.port() == worker.settings.inbound_listen.port();
    if !direct && declared_opaque(worker, accepted.original.port()) {
        // The server may speak first: a look for TLS would keep it waiting. Meshed clients come with a transport header instead.
        return Ok(plain(accepted, Bytes::new(), true, None, worker));
    }
    let Accepted { mut stream, peer, original } = accepted;
    let mut seen = BytesMut::new();
    let hello = detect::until(&mut stream, &mut seen, worker.settings.inbound_detect_timeout, |bytes| match client_hello(bytes) {
        Hello::NeedMore => None,
        settled => Some(settled),
    })
    .await?;
    let accepted = Accepted { stream, peer, original };
    let seen = seen.freeze();
    match hello {
        Some(Hello::Sni(Some(name))) if name == worker.settings.identity_local_name.as_str() => {
            terminate(accepted, seen, direct, worker).await
        }
        _ if direct => Err(refused(Blame::Client, "a connection to the proxy's own port carries neither mesh TLS nor a transport header")),
        Some(Hello::Sni(sni)) => Ok(plain(accepted, seen, true, Some(sni.as_deref()), worker)),
        // Silent, or ended too early: nothing that is still to come will tell more.
        None => Ok(plain(accepted, seen, true, None, worker)),
        Some(Hello::NotTls | Hello::NeedMore) => Ok(plain(accepted, seen, false, None, worker)),
    }
}

async fn terminate(accepted: Accepted, seen: Bytes, direct: bool, worker: &Worker) -> Result<Arrived, Refusal> {
    let absent = |why: tls::Absence| Refusal::new(Stage::Transport, Blame::Proxy, Retry::Safe, Cause::NoCertificate, why.reason());
    let mesh = worker.mesh().map_err(absent)?;
    let stream = Prefixed::with_prefix(seen, accepted.stream);
    let handshake = tls::accept(&mesh, stream, clock::wall());
    let terminated = tokio::time::timeout(worker.settings.inbound_detect_timeout, handshake)
        .await
        .map_err(|_| refused(Blame::Client, "the TLS handshake took too long"))?
        .map_err(|error| refused(Blame::Client, format!("the TLS handshake failed: {error}")))?;
    let mut io = terminated.io;
    let mut bytes = false;
    let target = if terminated.transport_header {
        let (header, rest) = read_header(&mut io, worker).await?;
        io = io.with_prefix(rest);
        bytes = header.protocol.is_none();
        SocketAddr::new(accepted.original.ip(), header.port)
    } else if direct {
        return Err(refused(Blame::Client, "a mesh connection to the proxy's own port carries no transport header"));
    } else {
        accepted.original
    };
    if target.port() == worker.settings.inbound_listen.port() {
        return Err(refused(Blame::Client, "the transport header names the proxy's own port"));
    }
    let opaque = bytes || declared_opaque(worker, target.port());
    let arrival = Arrival { remote: accepted.peer, target, client: terminated.client };
    Ok(Arrived { io: io.counted(worker.accounts.accepted(&arrival)), arrival, opaque })
}

async fn read_header(io: &mut (impl AsyncRead + Unpin), worker: &Worker) -> Result<(TransportHeader, Bytes), Refusal> {
    let mut seen = BytesMut::new();
    let reading = async {
        loop {
            match TransportHeader::decode(&seen) {
                Decoded::NeedMore => {}
                Decoded::Absent => return Err(refused(Blame::Client, "the transport header is missing")),
                Decoded::Invalid(why) => return Err(refused(Blame::Client, why)),
                Decoded::Header(header, length) => {
                    seen.advance(length);
                    return Ok((header, seen.freeze()));
                }
            }
            match io.read_buf(&mut seen).await {
                Ok(0) => return Err(refused(Blame::Client, "the connection was closed inside the transport header")),
                Ok(_) => {}
                Err(error) => return Err(refused(Blame::Client, format!("the connection failed inside the transport header: {error}"))),
            }
        }
    };
    tokio::time::timeout(worker.settings.inbound_detect_timeout, reading)
        .await
        .unwrap_or_else(|_| Err(refused(Blame::Client, "the transport header took too long")))
}

fn declared_opaque(worker: &Worker, port: u16) -> bool {
    matches!(worker.port(port).load().protocol, InboundProtocol::Opaque)
}

/// A connection without mesh TLS; `foreign` is the server name of TLS that is the application's own.
fn plain(accepted: Accepted, seen: Bytes, opaque: bool, foreign: Option<Option<&str>>, worker: &Worker) -> Arrived {
    let arrival = Arrival { remote: accepted.peer, target: accepted.original, client: Client::Plaintext };
    let account = match foreign {
        Some(sni) => worker.accounts.connection(Direction::Inbound, Peer::Source, arrival.target, Tls::Opaque(sni)),
        None => worker.accounts.accepted(&arrival),
    };
    Arrived { io: Io::plain(Prefixed::with_prefix(seen, accepted.stream)).counted(account), arrival, opaque }
}

fn refused(blame: Blame, reason: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Stage::Transport, blame, Retry::Safe, Cause::Unauthorized, reason)
}

#[cfg(test)]
mod tests;
