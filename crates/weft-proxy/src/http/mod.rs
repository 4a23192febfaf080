//! HTTP, whichever version carries it: the pieces of a body, and how one ends wrongly.

pub(crate) mod h1;

use std::io;

use bytes::Bytes;
use http::HeaderMap;
use http::{Request, Response};

use crate::io::Io;

pub(crate) use ::h2::Reason;

/// One piece of a body.
#[derive(Debug)]
pub(crate) enum Frame {
    /// Never empty.
    Data(Bytes),
    /// The last frame, if there is one.
    Trailers(HeaderMap),
}

/// A body that arrives: of a request (from the client) or of a response (from upstream).
pub(crate) enum Source {
    H1(h1::Source),
}

/// What upstream answers.
pub(crate) enum Reply {
    /// 1xx other than 101; more follows.
    Informational(Response<()>),
    Final(Response<()>, Source),
    /// 101, or 2xx to CONNECT, on HTTP/1: raw bytes follow.
    Upgraded(Response<()>, Io),
}

/// A request of which not a byte was sent: it may be sent elsewhere.
#[derive(Debug)]
pub(crate) struct NotSent {
    pub(crate) request: Request<()>,
    pub(crate) why: Broken,
}

/// Why a message is not complete and never will be. Each names the peer of the value that returned it.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The peer reset the stream with this code.
    Reset(Reason),
    /// The peer says that it has not acted on the request (REFUSED_STREAM, or GOAWAY before the stream): safe to send again.
    Refused,
    /// The connection ended, or is closing, before the message was complete.
    Closed,
    /// The peer does not speak the protocol; the status is the answer to a request that is malformed in this way.
    Malformed { status: u16, why: &'static str },
    /// The connection failed.
    Io(io::ErrorKind),
}
