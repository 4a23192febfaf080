//! Outbound traffic, stage by stage: accept, discover, detect, route, balance, connect.
//!
//! This file only calls. What a request's route is, which endpoint takes it and whether it may be sent again are weft-core's to say.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::Request;
use weft_core::detect::Kind;
use weft_core::model::{Distribution, OpaqueVerdict, OutboundHttp, OutboundOpaque, OutboundPolicy, OutboundProtocol};
use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};

use crate::accept::Accepted;
use crate::control::view::Discovery;
use crate::http::{Sink, Source, Version, serve};
use crate::io::Io;
use crate::live::Live;
use crate::send::{self, Target};
use crate::worker::Worker;
use crate::{detect, discover, relay};

/// An outbound connection and what is known of where it was meant to go.
pub(crate) struct Outbound {
    pub(crate) worker: Rc<Worker>,
    pub(crate) peer: SocketAddr,
    pub(crate) original: SocketAddr,
    /// Each request loads the value then in force.
    pub(crate) destination: Rc<Live<Option<Arc<Discovery>>>>,
}

/// Serves one connection of the local application.
pub(crate) async fn serve(accepted: Accepted, worker: Rc<Worker>) -> Result<(), Refusal> {
    let Accepted { stream, peer, original } = accepted;
    let destination = discover::run(original, &worker).await?;
    let connection = Rc::new(Outbound { worker, peer, original, destination });
    let io = Io::new(stream);
    let (kind, io) = match declared(&connection) {
        Declared::Kind(kind) => (kind, io),
        Declared::Detect(timeout) => detect::http(io, timeout).await?,
    };
    match kind {
        Kind::Http1 => serve_http(connection, io, Version::H1).await,
        Kind::Http2 => serve_http(connection, io, Version::H2).await,
        Kind::Tls { .. } | Kind::Opaque => forward_bytes(&connection, io).await,
    }
}
