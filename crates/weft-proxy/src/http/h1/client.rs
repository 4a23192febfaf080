//! The client's end: sends one request at a time and reads its responses. Never retries: it says what was not sent.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use http::header::{CONNECTION, HOST, HeaderValue, TE, TRAILER, UPGRADE};
use http::uri::{PathAndQuery, Uri};
use http::{Method, Request, Response, StatusCode, Version};
use weft_core::http1::{BodyFraming, Limits, Rejected, encode_request, keep_alive, parse_response, strip_hop_by_hop};

use super::connection::{self, Leaving, Shared, flush};
use super::server::content_length;
use super::{Outgoing, Source};
use crate::http::{self as any, Broken, Reply};
use crate::io::Io;

/// A handle on one connection to a server.
#[derive(Clone)]
pub(crate) struct Connection {
    conn: Shared,
}

/// The answer to one request, yet to come.
pub(crate) struct Pending {
    conn: Shared,
    method: Method,
    upgrade: bool,
    /// The connection has carried a request before, and not a byte of an answer to this one has come: its server may have closed it,
    /// idle, as this was sent.
    kept: bool,
}

impl Connection {
    pub(crate) fn new(io: Io) -> Self {
        Self { conn: connection::Connection::new(io, Limits::default(), 502) }
    }

    /// Whether another request may be sent: the one before is over in both directions, and the server neither closed nor
    /// said anything since. Costs one read that does not wait.
    pub(crate) fn is_reusable(&self) -> bool {
        let mut conn = self.conn.borrow_mut();
        let idle = conn.is_open()
            && conn.keep_alive
            && !conn.eof
            && matches!(conn.leaving, Leaving::Idle | Leaving::Done)
            && conn.body_ended()
            && conn.read.is_empty();
        idle && conn.poll_read_head(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Sends a request; `end`: it has no body. With a body, the head leaves with the first data, or when the reply is awaited.
    pub(crate) async fn send(&self, head: &mut Request<()>, end: bool) -> Result<(Outgoing, Pending), Broken> {
        let framing = request_body(head, end).map_err(|why| Broken::Malformed { status: 400, why })?;
        if !self.is_reusable() {
            return Err(Broken::Closed);
        }
        let method = head.method().clone();
        let upgrade = head.headers().contains_key(UPGRADE);
        put_on_the_wire(head, upgrade);
        let kept = {
            let mut conn = self.conn.borrow_mut();
            conn.turn += 1;
            conn.wrote = false;
            conn.begin_body(BodyFraming::UntilClose);
            encode_request(head, framing, conn.head_space());
            conn.turn > 1
        };
        let outgoing = Outgoing::new(self.conn.clone(), framing, end);
        let upgrade = upgrade || method == Method::CONNECT;
        let pending = Pending { conn: self.conn.clone(), upgrade, method, kept };
        if end {
            // A failure here is told by `Pending::next`, which alone knows whether the server answered all the same.
            let _ = flush(&self.conn).await;
        }
        Ok((outgoing, pending))
    }
}

impl Pending {
    /// The next response: any number of 1xx, then the final one, after which this is not called again.
    pub(crate) async fn next(&mut self) -> Result<Reply, Broken> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, Broken>> {
        let reply = std::task::ready!(self.poll_reply(cx));
        let conn = self.conn.borrow();
        let unanswered = self.kept && conn.read.is_empty();
        self.kept = false;
        Poll::Ready(match reply {
            Err(Broken::Closed | Broken::Io(_)) if unanswered => Err(Broken::Stale { sent: conn.wrote }),
            reply => reply,
        })
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, Broken>> {
        let mut conn = self.conn.borrow_mut();
        // The head may still wait for a body that is slow to come. A server that answered and closed early has made writing
        // fail: its answer is worth reading, so a failed write counts only when reading has nothing.
        let written = conn.poll_flush(cx);
        loop {
            let connection::Connection { read, limits, .. } = &mut *conn;
            let malformed = |rejected: Rejected| Broken::Malformed { status: 502, why: rejected.reason };
            if let Some((head, framing)) = parse_response(read, &self.method, limits).map_err(malformed)? {
                drop(conn);
                return Poll::Ready(self.reply(head, framing));
            }
            if conn.eof {
                return Poll::Ready(Err(Broken::Closed));
            }
            match conn.poll_read_head(cx) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(broken)) => return Poll::Ready(Err(broken)),
                Poll::Pending => {
                    return match written {
                        Poll::Ready(Err(broken)) => Poll::Ready(Err(broken)),
                        _ => Poll::Pending,
                    };
                }
            }
        }
    }

    fn reply(&mut self, mut head: Response<()>, framing: BodyFraming) -> Result<Reply, Broken> {
        let status = head.status();
        let mut conn = self.conn.borrow_mut();
        let switching = status == StatusCode::SWITCHING_PROTOCOLS;
        if switching || (self.method == Method::CONNECT && status.is_success()) {
            if !self.upgrade || switching == (self.method == Method::CONNECT) {
                return Err(conn.malformed("the server switched protocols without being asked"));
            }
            strip_hop_by_hop(head.headers_mut(), switching);
            let io = conn.take_io().ok_or(Broken::Closed)?;
            return Ok(Reply::Upgraded(head, io));
        }
        if status.is_informational() {
            strip_hop_by_hop(head.headers_mut(), false);
            return Ok(Reply::Informational(head));
        }
        conn.keep_alive &= keep_alive(head.version(), head.headers()) && framing != BodyFraming::UntilClose;
        conn.begin_body(framing);
        if conn.read.is_empty() {
            conn.read = bytes::BytesMut::new();
        }
        drop(conn);
        strip_hop_by_hop(head.headers_mut(), status == StatusCode::UPGRADE_REQUIRED);
        Ok(Reply::Final(head, any::Source::H1(Source::new(&self.conn))))
    }
}

/// The framing of a request. A body of unknown length is chunked, and so HTTP/1.1 whatever its version was.
fn request_body(head: &mut Request<()>, end: bool) -> Result<BodyFraming, &'static str> {
    let translated = ![Version::HTTP_10, Version::HTTP_11].contains(&head.version());
    match (content_length(head.headers())?, end) {
        // RFC 9110 §8.6: methods that expect a body say that it is empty.
        (None, true) if translated && [Method::POST, Method::PUT, Method::PATCH].contains(head.method()) => Ok(BodyFraming::Length(0)),
        (None, true) => Ok(BodyFraming::None),
        (Some(0), true) => Ok(BodyFraming::Length(0)),
        (Some(_), true) => Err("content-length of a request without a body"),
        (Some(length), false) if !head.headers().contains_key(TRAILER) || head.version() == Version::HTTP_10 => {
            Ok(BodyFraming::Length(length))
        }
        (_, false) => {
            *head.version_mut() = Version::HTTP_11;
            Ok(BodyFraming::Chunked)
        }
    }
}

/// Puts on what concerns this connection only. A request that came by HTTP/2 gets `host` and the origin form.
fn put_on_the_wire(head: &mut Request<()>, upgrade: bool) {
    strip_hop_by_hop(head.headers_mut(), upgrade);
    for (present, option) in [(upgrade, "upgrade"), (head.headers().contains_key(TE), "te")] {
        if present {
            head.headers_mut().append(CONNECTION, HeaderValue::from_static(option));
        }
    }
    if ![Version::HTTP_10, Version::HTTP_11].contains(&head.version()) {
        *head.version_mut() = Version::HTTP_11;
        let authority = head.uri().authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok());
        if let Some(authority) = authority {
            head.headers_mut().insert(HOST, authority);
        }
        if *head.method() != Method::CONNECT {
            let path = head.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
            *head.uri_mut() = Uri::from(path);
        }
    }
}
