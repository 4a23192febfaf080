//! HTTP/2 towards a client: accepts requests on one connection and hands each to a handler in its own task.
//!
//! Refuses what is ambiguous (an authority that contradicts Host, none at all) before anybody sees it. It never decides about a request
//! that is well formed. Extended CONNECT (RFC 8441, WebSockets) is offered always: whether the request's server takes it is known only when
//! it is sent there.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::header::HOST;
use http::uri::{Authority, Scheme};
use http::{Method, Request, Response, StatusCode, Uri};
use tokio::sync::{mpsc, watch};
use weft_core::http1::strip_hop_by_hop;

use super::standing::Standing;
use super::watch::Watched;
use super::{ERRORS, HEADER_LIST, Outgoing, RESETS_REMEMBERED, SEND_BUFFER, SMALL_FRAMES, Tuning, broken, frame, of_code, silent};
use crate::http::serve::in_place;
use crate::http::{Broken, Message, Source, orig_proto};
use crate::io::Io;

/// Serves one connection until the client closes it, it fails, or `stopping` turns true (or loses its sender) and the last request then
/// under way is over.
///
/// `handler` runs once for each request, as a task of the current `LocalSet`. It should watch [`Sink::closed`] wherever it waits: after
/// the client has gone, this function returns when the handlers have.
pub(crate) async fn serve<H, F>(io: Io, tuning: Tuning, mut stopping: watch::Receiver<bool>, handler: H) -> Result<(), Broken>
where
    H: Fn(Box<Message>) -> F,
    F: Future<Output = ()> + 'static,
{
    let frame = frame(&io);
    // Where the client is another proxy.
    let standing = io.is_meshed().then(|| Standing::new(tuning.windows.stream));
    let (io, seen) = Watched::server(io);
    let handshake = h2::server::Builder::new()
        .initial_window_size(tuning.windows.stream)
        .initial_connection_window_size(tuning.windows.connection)
        .max_frame_size(frame)
        .max_header_list_size(HEADER_LIST)
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(SMALL_FRAMES)
        .max_concurrent_streams(STREAMS)
        .max_concurrent_reset_streams(RESETS_REMEMBERED)
        .max_pending_accept_reset_streams(RESETS_UNACCEPTED)
        .max_local_error_reset_streams(Some(ERRORS))
        .enable_connect_protocol()
        .handshake(io);
    let mut connection = match tokio::time::timeout(HANDSHAKE, handshake).await {
        Ok(opened) => opened.map_err(broken)?,
        Err(_) => return Err(Broken::Io(std::io::ErrorKind::TimedOut)),
    };
    let pings = tuning.keep_alive.and_then(|keep_alive| Some((connection.ping_pong()?, keep_alive)));
    let dead = async {
        match pings {
            Some((pings, keep_alive)) => silent(pings, keep_alive).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(dead);
    let stopped = async {
        // An error means that the process is ending.
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    tokio::pin!(stopped);
    // Held by every exchange while it runs. A `JoinSet` keeps a record of each under a lock, which nobody reads.
    let (under_way, mut over) = mpsc::channel::<Infallible>(1);
    let mut draining = false;
    let ended = loop {
        tokio::select! {
            biased;
            // Also moves every stream of the connection forward, so it comes first.
            accepted = poll_fn(|cx| Poll::Ready(match ready!(connection.poll_accept(cx)) {
                // On the heap at once: on its way out of here a head would be copied four times.
                Some(Ok((request, respond))) => Some(Ok(open(request, respond, standing.as_ref()))),
                Some(Err(error)) => Some(Err(error)),
                None => None,
            })) => match accepted {
                None => break Ok(()),
                Some(Err(error)) => break Err(broken(error)),
                // Boxed first: the runtime moves what it is given half a dozen times, and an exchange has kilobytes.
                Some(Ok(Some(message))) => {
                    let (handling, under_way) = (in_place(|| handler(message)), under_way.clone());
                    tokio::task::spawn_local(async move {
                        handling.await;
                        drop(under_way);
                    });
                }
                Some(Ok(None)) => {}
            },
            () = due(|| seen.flooded().then_some(())) => {
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                // A client that reads is told; one that does not is not waited for.
                let _ = tokio::time::timeout(FAREWELL, poll_fn(|cx| connection.poll_closed(cx))).await;
                break Err(Broken::Malformed { status: 400, why: "too many HTTP/2 frames that carry nothing" });
            }
            (standing, window) = due(|| standing.as_ref().and_then(|standing| Some((standing, standing.wanted(seen.came())?)))) => {
                // Refused while the client has not answered the one before; asked again later.
                if connection.set_initial_window_size(window).is_ok() {
                    standing.told(window);
                }
            }
            () = poll_fn(|cx| if seen.is_worn() { Poll::Ready(()) } else { stopped.as_mut().poll(cx) }), if !draining => {
                draining = true;
                connection.graceful_shutdown();
            }
            () = &mut dead => break Err(Broken::Io(std::io::ErrorKind::TimedOut)),
        }
    };
    // Handlers that still run learn of the end from their streams.
    drop(connection);
    drop(under_way);
    let _ = over.recv().await;
    ended
}

/// Resolves when what was seen gives something. To be polled behind the connection, which reads and writes what is seen.
async fn due<T>(seen: impl Fn() -> Option<T>) -> T {
    poll_fn(|_| seen().map_or(Poll::Pending, Poll::Ready)).await
}

/// Where the answer to one request goes.
pub(crate) struct Sink {
    respond: SendResponse<Bytes>,
}

impl Sink {
    pub(crate) fn informational(&mut self, mut response: Response<()>) -> Result<(), Broken> {
        strip_hop_by_hop(response.headers_mut(), false);
        self.respond.send_informational(response).map_err(broken)
    }

    pub(crate) fn respond(mut self, mut response: Response<()>, end: bool) -> Result<Outgoing, Broken> {
        // The crate refuses what belongs to HTTP/1 connections.
        strip_hop_by_hop(response.headers_mut(), false);
        let send = self.respond.send_response(response, end).map_err(broken)?;
        Ok(Outgoing::new(send, end, None))
    }

    pub(crate) async fn closed(&mut self) -> Broken {
        poll_fn(|cx| self.respond.poll_reset(cx)).await.map_or_else(broken, of_code)
    }

    pub(crate) fn abort(mut self, code: Reason) {
        self.respond.send_reset(code);
    }
}

/// Splits a request into its parts, or answers 400 if it does not say unambiguously which host it is for.
fn open(request: Request<RecvStream>, respond: SendResponse<Bytes>, standing: Option<&Rc<Standing>>) -> Option<Box<Message>> {
    let (head, recv) = request.into_parts();
    let source = if recv.is_end_stream() { Source::Empty } else { Source::H2(super::Source::new(recv, None, standing)) };
    let mut message = Box::new(Message { request: Request::from_parts(head, ()), source, sink: crate::http::Sink::H2(Sink { respond }) });
    if !settle_authority(&mut message.request) {
        let mut answer = Response::new(());
        *answer.status_mut() = StatusCode::BAD_REQUEST;
        answer.headers_mut().insert(http::header::CONTENT_LENGTH, 0.into());
        // A client that is gone already needs no answer.
        let _ = message.sink.queue(answer, true);
        return None;
    }
    Some(message)
}

/// Makes `:authority` and Host one thing, held by the URI alone.
fn settle_authority(request: &mut Request<()>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, another) = (hosts.next().cloned(), hosts.next().is_some());
    if another {
        return false;
    }
    let host = match host.map(|host| Authority::try_from(host.as_bytes())) {
        Some(Ok(host)) => Some(host),
        Some(Err(_)) => return false,
        None => None,
    };
    match (request.uri().authority(), host) {
        (None, None) => return false,
        (Some(_), None) => return true,
        // HTTP/1 in absolute form, carried: its Host may differ and is the one that does not count (RFC 9112 3.2.2).
        (Some(named), Some(host)) if *named != host && !request.headers().contains_key(orig_proto::HEADER) => return false,
        (Some(_), Some(_)) => {}
        (None, Some(host)) => {
            if request.method() == Method::CONNECT {
                return false;
            }
            let mut parts = std::mem::take(request.uri_mut()).into_parts();
            parts.authority = Some(host);
            parts.scheme = Some(Scheme::HTTP);
            match Uri::from_parts(parts) {
                Ok(uri) => *request.uri_mut() = uri,
                Err(_) => return false,
            }
        }
    }
    request.headers_mut().remove(HOST);
    true
}

/// Requests at once on one connection; more wait at the client.
const STREAMS: u32 = 1024;
/// Streams that the client opened and reset before they were accepted (the rapid reset attack); one more ends the connection, and with it
/// whatever else it carries. So many may begin and be given up between two looks at a busy connection of another proxy.
const RESETS_UNACCEPTED: usize = 256;
/// From the first byte to the end of the client's preface.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// For the last word to a client that is sent away.
const FAREWELL: Duration = Duration::from_secs(1);
