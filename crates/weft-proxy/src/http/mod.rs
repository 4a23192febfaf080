//! HTTP, whichever version carries it.
//!
//! One exchange is a request head, a [`Source`] of its body and a [`Sink`] for its answer, sent to an [`Upstream`] that gives a
//! [`Pending`] answer back. These enums only choose between HTTP/1 ([`h1`]) and HTTP/2 ([`h2`]): the path that a request takes is written
//! once, in [`exchange`]. Nothing here decides where a request goes or whether it may.

pub(crate) mod answer;
pub(crate) mod exchange;
pub(crate) mod h1;
pub(crate) mod h2;
pub(crate) mod orig_proto;
mod patience;
pub(crate) mod refuse;
pub(crate) mod replay;
pub(crate) mod serve;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::io;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use weft_core::timeout::Limit;

use crate::io::Io;

pub(crate) use ::h2::Reason;

/// The version spoken on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Version {
    /// HTTP/1.0 and HTTP/1.1.
    H1,
    /// HTTP/2, prior knowledge.
    H2,
}

/// A request on its way, with the two ends of its bodies. On the heap from where it was read to where it ends: every stage that it passes
/// would copy it twice.
pub(crate) struct Message {
    pub(crate) request: Request<()>,
    pub(crate) source: Source,
    pub(crate) sink: Sink,
}

/// One piece of a body.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    /// Never empty.
    Data(Bytes),
    /// The last frame, if there is one.
    Trailers(HeaderMap),
}

/// A body that arrives: of a request (from the client) or of a response (from upstream).
pub(crate) enum Source {
    /// No body at all.
    Empty,
    H1(h1::Source),
    H2(h2::Source),
    /// One whose beginning was read before.
    Replay(Box<replay::Replay>),
}

impl Source {
    /// The next piece; `None` after the last. Room that the previous piece took is given back to the sender by this call, so a reader
    /// that stops asking stops the sender. May be dropped while it waits without losing anything.
    pub(crate) async fn frame(&mut self) -> Result<Option<Frame>, Broken> {
        match self {
            Source::Empty => Ok(None),
            Source::H1(source) => source.frame().await,
            Source::H2(source) => source.frame().await,
            Source::Replay(source) => Box::pin(source.frame()).await,
        }
    }

    /// To be polled while the last piece waits for its receiver: takes care of what piles up meanwhile. Never resolves.
    pub(crate) async fn gather(&mut self) -> Infallible {
        match self {
            // Nothing is read here that nobody asked for.
            Source::Empty | Source::H1(_) => pending().await,
            Source::H2(source) => source.gather().await,
            Source::Replay(source) => Box::pin(source.gather()).await,
        }
    }

    /// Whether it is known that nothing more will come.
    pub(crate) fn is_end(&self) -> bool {
        match self {
            Source::Empty => true,
            Source::H1(source) => source.is_end(),
            Source::H2(source) => source.is_end(),
            Source::Replay(source) => source.is_end(),
        }
    }

    /// Tells the sender that the rest is not wanted, and why. Dropping a source says the same with the code CANCEL.
    pub(crate) fn abort(&mut self, why: &Broken) {
        match self {
            Source::Empty | Source::H1(_) => {}
            Source::H2(source) => source.abort(why.code()),
            Source::Replay(source) => source.abort(why),
        }
    }
}

/// Where the answer to one request goes. Dropped without an answer, the client sees the exchange broken off.
pub(crate) enum Sink {
    H1(h1::Sink),
    H2(h2::server::Sink),
}

impl Sink {
    pub(crate) fn version(&self) -> Version {
        match self {
            Sink::H1(_) => Version::H1,
            Sink::H2(_) => Version::H2,
        }
    }

    /// Sends a 1xx response; the final one follows.
    pub(crate) async fn informational(&mut self, response: Response<()>) -> Result<(), Broken> {
        match self {
            Sink::H1(sink) => sink.informational(response).await,
            Sink::H2(sink) => sink.informational(response),
        }
    }

    /// Sends the head of the final response; `end` when no body and no trailers follow.
    pub(crate) async fn respond(self, response: Response<()>, end: bool) -> Result<Outgoing, Broken> {
        match self {
            Sink::H1(sink) => sink.respond(response, end).await.map(Outgoing::H1),
            Sink::H2(sink) => sink.respond(response, end).map(Outgoing::H2),
        }
    }

    /// As [`Sink::respond`], but an HTTP/1 head waits for what is sent next and leaves in the same write.
    pub(crate) fn queue(self, response: Response<()>, end: bool) -> Result<Outgoing, Broken> {
        match self {
            Sink::H1(sink) => sink.queue(response, end).map(Outgoing::H1),
            Sink::H2(sink) => sink.respond(response, end).map(Outgoing::H2),
        }
    }

    /// Sends a response after which the connection carries raw bytes (101, or 2xx to CONNECT), and hands the connection over.
    pub(crate) async fn upgrade(self, response: Response<()>) -> Result<Io, Broken> {
        match self {
            Sink::H1(sink) => sink.upgrade(response).await,
            Sink::H2(_) => Err(Broken::Malformed { status: 502, why: "an HTTP/2 stream cannot be upgraded" }),
        }
    }

    /// Resolves when the client is gone or has reset its request; never otherwise. May be dropped and called again.
    pub(crate) async fn closed(&mut self) -> Broken {
        match self {
            Sink::H1(sink) => sink.closed().await,
            Sink::H2(sink) => sink.closed().await,
        }
    }

    /// Breaks the exchange off without an answer. HTTP/2 resets the stream with the code of `why`; HTTP/1 closes the connection.
    pub(crate) fn abort(self, why: &Broken) {
        match self {
            Sink::H1(sink) => drop(sink),
            Sink::H2(sink) => sink.abort(why.code()),
        }
    }
}

/// A body that is sent: of a request (to upstream) or of a response (to the client). Dropped before its end, it is broken off.
pub(crate) enum Outgoing {
    H1(h1::Outgoing),
    H2(h2::Outgoing),
}

impl Outgoing {
    /// Returns when the peer (or a bounded buffer towards it) has taken the bytes.
    pub(crate) async fn data(&mut self, data: Bytes) -> Result<(), Broken> {
        match self {
            Outgoing::H1(outgoing) => outgoing.data(data).await,
            Outgoing::H2(outgoing) => outgoing.data(data).await,
        }
    }

    /// As [`Outgoing::data`] and then [`Outgoing::finish`], at the price of one.
    pub(crate) async fn last(self, data: Bytes) -> Result<(), Broken> {
        match self {
            Outgoing::H1(outgoing) => outgoing.last(data).await,
            Outgoing::H2(outgoing) => outgoing.last(data).await,
        }
    }

    /// Sends a head that waits for its first data.
    pub(crate) async fn flush(&mut self) -> Result<(), Broken> {
        match self {
            Outgoing::H1(outgoing) => outgoing.flush().await,
            // The connection's own task writes as soon as it can.
            Outgoing::H2(_) => Ok(()),
        }
    }

    /// Ends the body with trailers.
    pub(crate) async fn trailers(self, trailers: HeaderMap) -> Result<(), Broken> {
        match self {
            Outgoing::H1(outgoing) => outgoing.trailers(trailers).await,
            Outgoing::H2(outgoing) => outgoing.trailers(trailers),
        }
    }

    /// Ends the body.
    pub(crate) async fn finish(self) -> Result<(), Broken> {
        match self {
            Outgoing::H1(outgoing) => outgoing.finish().await,
            Outgoing::H2(outgoing) => outgoing.finish(),
        }
    }

    /// Breaks the body off so that the receiver cannot take it for complete.
    pub(crate) fn abort(self, why: &Broken) {
        match self {
            Outgoing::H1(outgoing) => outgoing.abort(),
            Outgoing::H2(outgoing) => outgoing.abort(why.code()),
        }
    }

    /// The same behind what was sent before: an abort may overtake a head that still waits to leave.
    pub(crate) async fn break_off(self, why: &Broken) {
        match self {
            Outgoing::H1(outgoing) => outgoing.abort(),
            Outgoing::H2(outgoing) => outgoing.break_off(why.code()).await,
        }
    }

    /// Resolves when the receiver is gone or wants no more; never otherwise. May be dropped and called again.
    pub(crate) async fn closed(&mut self) -> Broken {
        match self {
            Outgoing::H1(outgoing) => outgoing.closed().await,
            Outgoing::H2(outgoing) => outgoing.closed().await,
        }
    }
}

/// A connection (HTTP/1) or a handle on a shared one (HTTP/2) that takes one request.
pub(crate) enum Upstream {
    H1(h1::client::Connection),
    H2(h2::client::Connection),
}

impl Upstream {
    pub(crate) fn version(&self) -> Version {
        match self {
            Upstream::H1(_) => Version::H1,
            Upstream::H2(_) => Version::H2,
        }
    }

    /// Sends the head; `end` when no body follows. Headers that belong to one connection only are taken off. If it fails, nothing was sent
    /// and the head is there as it was.
    pub(crate) async fn send(&mut self, request: &mut Request<()>, head: Head, end: bool) -> Result<(Outgoing, Pending), Broken> {
        match self {
            Upstream::H1(connection) => {
                let (outgoing, pending) = connection.send(request, end).await?;
                Ok((Outgoing::H1(outgoing), Pending::H1(pending)))
            }
            Upstream::H2(connection) => {
                let (outgoing, pending) = connection.send(request, head, end).await?;
                Ok((Outgoing::H2(outgoing), Pending::H2(pending)))
            }
        }
    }
}

/// What HTTP/2 does with the head of a request that it sends. HTTP/1 writes it, and leaves it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// It is there to be sent again.
    Copied,
    Taken,
}

/// An answer that is awaited. Dropped, the request is cancelled.
pub(crate) enum Pending {
    H1(h1::client::Pending),
    H2(h2::client::Pending),
}

impl Pending {
    /// The next response head. Call until it is not informational, never after. May be dropped while it waits.
    pub(crate) async fn next(&mut self) -> Result<Reply, Broken> {
        match self {
            Pending::H1(pending) => pending.next().await,
            Pending::H2(pending) => pending.next().await,
        }
    }

    /// Cancels the request with the code of `why`.
    pub(crate) fn abort(&mut self, why: &Broken) {
        match self {
            // Nobody sends another request behind one whose answer was not read.
            Pending::H1(_) => {}
            Pending::H2(pending) => pending.abort(why.code()),
        }
    }
}

/// What upstream answers.
pub(crate) enum Reply {
    /// 1xx other than 101; more follows.
    Informational(Response<()>),
    Final(Response<()>, Source),
    /// 101, or 2xx to CONNECT, on HTTP/1: raw bytes follow.
    Upgraded(Response<()>, Io),
}

/// Why a message is not complete and never will be. Each names the peer of the value that returned it.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The peer reset the stream with this code.
    Reset(Reason),
    /// The peer says that it has not acted on the request and takes others (REFUSED_STREAM): safe to send again.
    Refused,
    /// The peer says that it has not acted on the request and that the connection ends (GOAWAY before the stream), or the connection had
    /// ended already: safe to send again.
    Leaving,
    /// The connection ended, or is closing, before the message was complete.
    Closed,
    /// A connection that had carried a request before ended without a byte of an answer to this one. `sent`: bytes of it had left.
    Stale { sent: bool },
    /// The connection has more requests waiting for the peer's limit than it may hold. Nothing was sent.
    Full,
    /// The peer does not speak the protocol; the status is the answer to a request that is malformed in this way.
    Malformed { status: u16, why: &'static str },
    /// The client let its request's body be waited for too long.
    TooSlow,
    /// The connection failed.
    Io(io::ErrorKind),
}

impl Broken {
    /// The HTTP/2 code that passes this on to the other side.
    pub(crate) fn code(&self) -> Reason {
        match self {
            Broken::Reset(code) => *code,
            Broken::Refused | Broken::Leaving | Broken::Full => Reason::REFUSED_STREAM,
            Broken::Closed | Broken::Stale { .. } | Broken::TooSlow | Broken::Io(_) => Reason::CANCEL,
            Broken::Malformed { .. } => Reason::PROTOCOL_ERROR,
        }
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::Io(error.kind())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Reset(code) => write!(f, "stream reset ({})", code.description()),
            Broken::Refused => f.write_str("request refused before it was acted on"),
            Broken::Leaving => f.write_str("connection ends before the request was acted on"),
            Broken::Closed => f.write_str("connection closed before the message was complete"),
            Broken::Stale { .. } => f.write_str("kept connection closed before it answered"),
            Broken::Full => f.write_str("too many requests wait for the connection"),
            Broken::Malformed { why, .. } => f.write_str(why),
            Broken::TooSlow => f.write_str(Limit::Body.reason()),
            Broken::Io(kind) => write!(f, "connection failed: {kind}"),
        }
    }
}

impl std::error::Error for Broken {}
