//! HTTP/2 towards a server: one connection, many requests at once.
//!
//! Keeps count of its own open streams (the crate's queue of streams that wait for the peer's limit is invisible from outside) and says
//! which requests the server never acted on. It never chooses a connection and never sends a request twice.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{Reason, SendStream};
use http::{Method, Request, Response};
use tokio::sync::Notify;
use weft_core::http1::strip_hop_by_hop;

use super::standing::Standing;
use super::watch::{Seen, Watched};
use super::{ERRORS, HEADER_LIST, Outgoing, RESETS_REMEMBERED, SEND_BUFFER, SMALL_FRAMES, Source, Tuning, broken, frame, silent};
use crate::http::{Broken, Head, Reply};
use crate::io::Io;

/// A handle on a connection; clones share it. The connection closes when the last handle and the last stream are gone.
#[derive(Clone)]
pub(crate) struct Connection {
    send: SendRequest<Bytes>,
    shared: Rc<Shared>,
}

struct Shared {
    open: Cell<usize>,
    closed: Cell<bool>,
    /// The server has sent its settings.
    settled: Cell<bool>,
    /// Told when `settled` or `closed` turns true.
    told: Notify,
    /// A request was answered: the connection is kept for others.
    answered: Cell<bool>,
    seen: Rc<Seen>,
    /// Where the server is another proxy.
    standing: Option<Rc<Standing>>,
}

/// Opens HTTP/2 on a fresh byte stream and drives it in a task of the current `LocalSet`.
pub(crate) async fn connect(io: Io, tuning: Tuning) -> Result<Connection, Broken> {
    let frame = frame(&io);
    let standing = io.is_meshed().then(|| Standing::new(tuning.windows.stream));
    let (io, seen) = Watched::client(io);
    let (send, mut connection) = h2::client::Builder::new()
        .initial_window_size(tuning.windows.stream)
        .initial_connection_window_size(tuning.windows.connection)
        .max_frame_size(frame)
        .max_header_list_size(HEADER_LIST)
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(SMALL_FRAMES)
        .initial_max_send_streams(ASSUMED_STREAMS)
        .max_concurrent_reset_streams(RESETS_REMEMBERED)
        .max_local_error_reset_streams(Some(ERRORS))
        .enable_push(false)
        .handshake(io)
        .await
        .map_err(broken)?;
    let shared = Rc::new(Shared {
        open: Cell::new(0),
        closed: Cell::new(false),
        settled: Cell::new(false),
        told: Notify::new(),
        answered: Cell::new(false),
        seen,
        standing,
    });
    let pings = tuning.keep_alive.and_then(|keep_alive| Some((connection.ping_pong()?, keep_alive)));
    let guard = Closes(shared.clone());
    tokio::task::spawn_local(async move {
        let shared = &guard.0;
        let driven = poll_fn(|cx| {
            let mut ended = Pin::new(&mut connection).poll(cx);
            if ended.is_pending()
                && let Some(standing) = &shared.standing
                && let Some(window) = standing.wanted(shared.seen.came())
                // Refused while the server has not answered the one before; asked again later.
                && connection.set_initial_window_size(window).is_ok()
            {
                standing.told(window);
                ended = Pin::new(&mut connection).poll(cx);
            }
            if !shared.settled.get() && connection.max_concurrent_send_streams() != ASSUMED_STREAMS {
                shared.settled.set(true);
                shared.told.notify_waiters();
            }
            if shared.seen.flooded() {
                tracing::debug!("HTTP/2 server sent too many frames that carry nothing");
                return Poll::Ready(Ok(()));
            }
            ended
        });
        let ended = match pings {
            // Dropping the connection fails every stream on it at once.
            Some((pings, keep_alive)) => tokio::select! {
                ended = driven => ended,
                () = silent(pings, keep_alive) => return tracing::debug!("HTTP/2 server stopped answering pings"),
            },
            None => driven.await,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "HTTP/2 connection to the server ended");
        }
    });
    Ok(Connection { send, shared })
}

impl Connection {
    /// Whether it takes new requests: not closed, not worn, and the server has not said GOAWAY.
    pub(crate) fn is_open(&mut self) -> bool {
        let ready = self.send.poll_ready(&mut Context::from_waker(Waker::noop()));
        !self.shared.closed.get() && !self.shared.seen.is_worn() && !matches!(ready, Poll::Ready(Err(_)))
    }

    /// Requests under way on this connection, those included that wait for the server's limit.
    pub(crate) fn streams(&self) -> usize {
        self.shared.open.get()
    }

    /// Whether the server lets one more request begin at once. As long as it has not said how many, more than it allows wait for its word.
    pub(crate) fn has_room(&self) -> bool {
        !self.shared.settled.get() || self.streams() < self.send.current_max_send_streams()
    }

    /// Resolves when this handle may queue one more request, or says that it never may again.
    pub(crate) async fn ready(&mut self) -> Result<(), Broken> {
        poll_fn(|cx| self.send.poll_ready(cx)).await.map_err(broken)
    }

    /// Sends a head whose URI has scheme and authority (for CONNECT: an authority).
    pub(crate) async fn send(&mut self, request: &mut Request<()>, head: Head, end: bool) -> Result<(Outgoing, Pending), Broken> {
        if request.extensions().get::<Protocol>().is_some() && !Box::pin(self.takes_protocols()).await {
            return Err(Broken::Malformed { status: 501, why: "the server does not take extended CONNECT" });
        }
        // An end between the look at it and this one: there are others.
        self.ready().await.map_err(|why| if matches!(why, Broken::Closed | Broken::Io(_)) { Broken::Leaving } else { why })?;
        // The crate queues what the server's limit does not let begin, without a bound of its own.
        if self.streams() >= self.send.current_max_send_streams().saturating_add(WAITING) {
            return Err(Broken::Full);
        }
        if let Some(why) = unsendable(request) {
            return Err(Broken::Malformed { status: 502, why });
        }
        let mut request = match head {
            Head::Copied => request.clone(),
            Head::Taken => std::mem::take(request),
        };
        // The crate refuses what belongs to HTTP/1 connections.
        strip_hop_by_hop(request.headers_mut(), false);
        match self.send.send_request(request, end) {
            Ok((response, send)) => {
                let stream = Rc::new(Stream::open(self.shared.clone()));
                let outgoing = Outgoing::new(send, end, Some(stream.clone()));
                Ok((outgoing, Pending { response, stream }))
            }
            // Everything that makes the crate refuse a head was asked above, without a pause in which the answer could change.
            Err(error) => {
                tracing::warn!(%error, "HTTP/2 refused a request that was found fit to send");
                Err(Broken::Malformed { status: 500, why: "request not fit for HTTP/2" })
            }
        }
    }
}

impl Connection {
    /// Whether the server takes extended CONNECT (RFC 8441), by its settings, which a living server sends at once.
    async fn takes_protocols(&self) -> bool {
        self.settled().await && self.send.is_extended_connect_protocol_enabled()
    }

    /// Waits for the server's settings, for a while. Whether they have come, or the connection has ended.
    pub(crate) async fn settled(&self) -> bool {
        let told = async {
            while !self.shared.settled.get() && !self.shared.closed.get() {
                self.shared.told.notified().await;
            }
        };
        tokio::time::timeout(SETTINGS, told).await.is_ok()
    }
}

fn unsendable(request: &Request<()>) -> Option<&'static str> {
    let uri = request.uri();
    if uri.authority().is_none() || (uri.scheme().is_none() && request.method() != Method::CONNECT) {
        return Some("request for HTTP/2 without scheme and authority");
    }
    None
}

/// Counts one open stream and keeps what is needed to reset it.
pub(super) struct Stream {
    shared: Rc<Shared>,
    /// The sending half, once the request is complete: it is the only handle that can reset the stream with a chosen code.
    sent: RefCell<Option<SendStream<Bytes>>>,
}

impl Stream {
    fn open(shared: Rc<Shared>) -> Self {
        shared.open.set(shared.open.get() + 1);
        Stream { shared, sent: RefCell::new(None) }
    }

    pub(super) fn keep(&self, send: SendStream<Bytes>) {
        self.sent.replace(Some(send));
    }

    pub(super) fn abort(&self, code: Reason) {
        if let Some(mut send) = self.sent.take() {
            send.send_reset(code);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.open.set(self.shared.open.get() - 1);
    }
}

/// A request under way.
pub(crate) struct Pending {
    response: ResponseFuture,
    stream: Rc<Stream>,
}

impl Pending {
    pub(crate) async fn next(&mut self) -> Result<Reply, Broken> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, Broken>> {
        let reply = ready!(self.poll_reply(cx));
        let shared = &self.stream.shared;
        Poll::Ready(match reply {
            Ok(reply) => {
                shared.answered.set(true);
                Ok(reply)
            }
            Err(why @ (Broken::Closed | Broken::Io(_))) => {
                let sent = shared.seen.has_left(self.response.stream_id().as_u32());
                Err(if shared.answered.get() || !sent { Broken::Stale { sent } } else { why })
            }
            Err(why) => Err(why),
        })
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, Broken>> {
        // In this order: asking for the final response throws away informational ones that wait in front of it.
        match self.response.poll_informational(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(response))) => return Poll::Ready(Ok(Reply::Informational(response))),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(broken(error))),
            Poll::Ready(None) => {}
        }
        Pin::new(&mut self.response).poll(cx).map(|response| {
            let (head, recv) = response.map_err(broken)?.into_parts();
            let body = Source::new(recv, Some(self.stream.clone()), self.stream.shared.standing.as_ref());
            Ok(Reply::Final(Response::from_parts(head, ()), crate::http::Source::H2(body)))
        })
    }

    pub(crate) fn abort(&self, code: Reason) {
        self.stream.abort(code);
    }
}

struct Closes(Rc<Shared>);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.closed.set(true);
        self.0.told.notify_waiters();
    }
}

/// Streams opened before the server has said how many it allows; more than that it would refuse. A number that no server says: so long as
/// the crate keeps to it, the settings have not come.
const ASSUMED_STREAMS: usize = 61;
/// How long a server's settings are waited for by what depends on them.
const SETTINGS: Duration = Duration::from_secs(5);
/// Requests that may wait on one connection because the server allows no more at once.
const WAITING: usize = 256;
