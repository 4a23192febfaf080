//! The server's end: takes requests off a connection one after another, and answers each before it reads the next.
//!
//! Answers by itself only what no stage can: a request that is rejected or too slow. After a response it reads a bounded rest of
//! an unread request body, else closes in a way that lets the client read the response first.
//! A client's FIN does not end an exchange: clients that close their side after the request still get the response.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderValue, TRAILER, UPGRADE};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use tokio::time::timeout;
use weft_core::http1::{
    BodyFraming, Limits, Rejected, encode_response, keep_alive, parse_request, response_has_no_body, strip_hop_by_hop, upgrade_requested,
};

use super::connection::{Connection, Leaving, Shared, flush};
use super::{Outgoing, Source};
use crate::http::{self as any, Broken, Frame, Message};
use crate::io::Io;

/// How long a connection waits for its client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// For the first byte of a request; then the connection closes without a word. `None`: for ever.
    pub(crate) idle: Option<Duration>,
    /// From the first byte of a head to its last; then 408.
    pub(crate) head: Duration,
    /// For the rest of a request body that nobody reads, after the response.
    pub(crate) drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { idle: None, head: Duration::from_secs(30), drain: Duration::from_secs(1) }
    }
}

/// Why a connection ended otherwise than between two requests.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Answered already.
    Rejected(Rejected),
    Broken(Broken),
}

impl From<Broken> for Ended {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

pub(crate) struct Server {
    conn: Shared,
    timeouts: Timeouts,
}

impl Server {
    pub(crate) fn new(io: Io, limits: Limits, timeouts: Timeouts) -> Self {
        Self { conn: Connection::new(io, limits, 400), timeouts }
    }

    /// The next request, when the response to the one before has been finished; `None` at a clean end. Handles of the
    /// exchange before are dead from here on. May be dropped and called again while the connection is idle.
    pub(crate) async fn next(&mut self) -> Result<Option<Box<Message>>, Ended> {
        if !self.settle().await? || !self.first_byte().await? {
            return Ok(None);
        }
        let message = match self.begun(0) {
            // Nearly every head comes whole: a timer for it would be made, moved about and dropped for nothing.
            Ok(None) => Box::pin(self.rest_of_head()).await,
            whole => whole,
        };
        match message {
            Err(Ended::Rejected(rejected)) => Box::pin(self.reject(rejected)).await,
            other => other,
        }
    }

    /// Whether no request is under way and no byte of another has been read.
    pub(crate) fn is_quiet(&self) -> bool {
        let conn = self.conn.borrow();
        matches!(conn.leaving, Leaving::Idle) && conn.read.is_empty()
    }

    /// Ends the connection after the response to the current or the next request.
    pub(crate) fn wind_down(&self) {
        self.conn.borrow_mut().keep_alive = false;
    }

    /// On the heap at once: a head would be copied half a dozen times on its way out of here.
    fn begin(&self, request: Request<()>, framing: BodyFraming) -> Box<Message> {
        let upgrade = upgrade_requested(&request, framing);
        let sink = Sink {
            conn: self.conn.clone(),
            method: request.method().clone(),
            version: request.version(),
            upgrade: upgrade || *request.method() == Method::CONNECT,
            awaits_continue: framing != BodyFraming::None
                && request.headers().get(EXPECT).is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue")),
        };
        {
            let mut conn = self.conn.borrow_mut();
            conn.keep_alive &= keep_alive(request.version(), request.headers());
            conn.leaving = Leaving::Owed;
            conn.turn += 1;
            conn.begin_body(framing);
            if conn.read.is_empty() {
                conn.read = BytesMut::new();
            }
        }
        let source = any::Source::H1(Source::new(&self.conn));
        let mut message = Box::new(Message { request, source, sink: any::Sink::H1(sink) });
        strip_hop_by_hop(message.request.headers_mut(), upgrade);
        message
    }

    /// Ends the exchange before. Whether the connection can take another.
    async fn settle(&mut self) -> Result<bool, Broken> {
        let leaving = self.conn.borrow().leaving;
        match leaving {
            Leaving::Idle => return Ok(self.conn.borrow().is_open()),
            Leaving::Owed | Leaving::Body => {
                self.conn.borrow_mut().reset();
                return Ok(false);
            }
            Leaving::Done => {}
        }
        if !self.conn.borrow().is_open() {
            return Ok(false);
        }
        flush(&self.conn).await?;
        let keep = self.conn.borrow().keep_alive;
        if keep && self.drained().await {
            self.conn.borrow_mut().leaving = Leaving::Idle;
            return Ok(true);
        }
        self.close().await;
        Ok(false)
    }

    /// Whether the request's body has been read to its end; what is left of it is read in a bounded time.
    async fn drained(&self) -> bool {
        self.conn.borrow().body_ended() || matches!(Box::pin(timeout(self.timeouts.drain, self.drain())).await, Ok(Ok(true)))
    }

    /// Reads what is left of the request body, up to a bound. Whether it reached the end.
    async fn drain(&self) -> Result<bool, Broken> {
        let mut left = DRAINED;
        while !self.conn.borrow().body_ended() {
            match poll_fn(|cx| self.conn.borrow_mut().poll_frame(cx)).await? {
                Some(Frame::Data(data)) if data.len() <= left => left -= data.len(),
                Some(Frame::Data(_)) => return Ok(false),
                Some(Frame::Trailers(_)) | None => {}
            }
        }
        Ok(true)
    }

    /// Sends FIN, and takes what the client still sends for a moment: a socket closed with unread bytes resets, and the reset
    /// may overtake the response.
    async fn close(&mut self) {
        let conn = &self.conn;
        let unread = {
            let conn = conn.borrow();
            !conn.eof && (!conn.body_ended() || !conn.read.is_empty())
        };
        let shut = poll_fn(|cx| conn.borrow_mut().poll_shutdown(cx)).await;
        if shut.is_ok() && unread {
            let mut left = DRAINED;
            let discard = async {
                while let Ok(count @ 1..) = poll_fn(|cx| conn.borrow_mut().poll_read_head(cx)).await {
                    conn.borrow_mut().read.clear();
                    if count > left {
                        break;
                    }
                    left -= count;
                }
            };
            let _ = timeout(self.timeouts.drain, discard).await;
        }
        self.conn.borrow_mut().close();
    }

    /// Waits for the first byte of a request. False when none will come.
    async fn first_byte(&self) -> Result<bool, Broken> {
        let wait = poll_fn(|cx| {
            let mut conn = self.conn.borrow_mut();
            if !conn.read.is_empty() {
                return Poll::Ready(Ok(1));
            }
            if conn.eof || !conn.is_open() {
                return Poll::Ready(Ok(0));
            }
            conn.read = BytesMut::new();
            conn.poll_read_head(cx)
        });
        let count = match self.timeouts.idle {
            Some(idle) => timeout(idle, wait).await.unwrap_or(Ok(0)),
            None => wait.await,
        };
        match count {
            // A reset between two requests harms nobody.
            Ok(0) | Err(_) => {
                self.conn.borrow_mut().close();
                Ok(false)
            }
            Ok(_) => Ok(true),
        }
    }

    /// Waits for the rest of a head, and begins its request. None when there is none to come.
    async fn rest_of_head(&self) -> Result<Option<Box<Message>>, Ended> {
        let head = async {
            loop {
                let seen = self.conn.borrow().read.len();
                poll_fn(|cx| self.conn.borrow_mut().poll_read_head(cx)).await?;
                if let Some(message) = self.begun(seen)? {
                    return Ok(Some(message));
                }
                let conn = self.conn.borrow();
                if conn.eof {
                    // Some old clients end a body with an empty line.
                    return if conn.read[..] == *b"\r\n" { Ok(None) } else { Err(Broken::Closed.into()) };
                }
            }
        };
        timeout(self.timeouts.head, head).await.unwrap_or(Err(Ended::Rejected(TOO_SLOW)))
    }

    /// Begins the request whose head has been read, if all of it is there; of its bytes `seen` were looked at before.
    fn begun(&self, seen: usize) -> Result<Option<Box<Message>>, Ended> {
        let parsed = {
            let mut conn = self.conn.borrow_mut();
            let Connection { read, limits, .. } = &mut *conn;
            // A head is complete at a line end, so bytes without one need no second look, however slowly they drip.
            if !read[seen..].contains(&b'\n') && read.len() < limits.request_line {
                return Ok(None);
            }
            parse_request(read, limits)
        };
        match parsed {
            Ok(Some((request, framing))) => Ok(Some(self.begin(request, framing))),
            Ok(None) => Ok(None),
            Err(rejected) => Err(Ended::Rejected(rejected)),
        }
    }

    /// Answers a request that cannot be read, and closes.
    async fn reject<T>(&mut self, rejected: Rejected) -> Result<T, Ended> {
        let text = format!("{}\n", rejected.reason);
        let mut response = Response::new(());
        *response.status_mut() = rejected.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        {
            let mut conn = self.conn.borrow_mut();
            conn.keep_alive = false;
            let out = conn.head_space();
            encode_response(&response, BodyFraming::Length(text.len() as u64), out);
            out.extend_from_slice(text.as_bytes());
        }
        // The client is told if it listens; either way the rejection is what this connection ended with.
        if timeout(self.timeouts.head, flush(&self.conn)).await.is_ok_and(|flushed| flushed.is_ok()) {
            // Where the next message would begin is unknown: take whatever follows as unread.
            self.conn.borrow_mut().begin_body(BodyFraming::UntilClose);
            self.close().await;
        } else {
            self.conn.borrow_mut().close();
        }
        Err(Ended::Rejected(rejected))
    }
}

impl Drop for Server {
    /// Inside an exchange, what the client has got must not look whole.
    fn drop(&mut self) {
        let mut conn = self.conn.borrow_mut();
        if matches!(conn.leaving, Leaving::Owed | Leaving::Body) {
            conn.reset();
        }
    }
}

/// Where the response to one request goes. Dropped without a response, it closes the connection.
pub(crate) struct Sink {
    conn: Shared,
    method: Method,
    version: Version,
    upgrade: bool,
    /// The client may be waiting for 100 before it sends its body.
    awaits_continue: bool,
}

impl Sink {
    /// Sends a 1xx other than 101. A client of HTTP/1.0 does not know them and gets nothing (RFC 9110 §15.2).
    pub(crate) async fn informational(&mut self, mut head: Response<()>) -> Result<(), Broken> {
        debug_assert!(head.status().is_informational() && head.status() != StatusCode::SWITCHING_PROTOCOLS);
        if self.version == Version::HTTP_10 {
            return Ok(());
        }
        self.awaits_continue &= head.status() != StatusCode::CONTINUE;
        strip_hop_by_hop(head.headers_mut(), false);
        *head.version_mut() = Version::HTTP_11;
        encode_response(&head, BodyFraming::None, self.conn.borrow_mut().head_space());
        flush(&self.conn).await
    }

    /// Sends the head of the final response; `end`: it has no body, and is complete with this. `connection: close` in it closes the
    /// connection behind it.
    pub(crate) async fn respond(self, head: Response<()>, end: bool) -> Result<Outgoing, Broken> {
        let mut outgoing = self.queue(head, end)?;
        outgoing.flush().await?;
        Ok(outgoing)
    }

    /// As [`Sink::respond`], but the head waits for what follows it and leaves in the same write: `data`, `finish`, `flush`.
    pub(crate) fn queue(self, mut head: Response<()>, end: bool) -> Result<Outgoing, Broken> {
        let mut conn = self.conn.borrow_mut();
        let framing = match response_body(&self.method, self.version, &head, end) {
            Ok(framing) => framing,
            Err(reason) => return Err(conn.malformed(reason)),
        };
        if self.awaits_continue && !conn.body_ended() {
            // The body may or may not come now: there is no telling where the next request would begin.
            conn.keep_alive = false;
        }
        // What the server said of its connection has been taken off: `close` here is our own wish.
        conn.keep_alive &= framing != BodyFraming::UntilClose && keep_alive(Version::HTTP_11, head.headers());
        let advertises = head.status() == StatusCode::UPGRADE_REQUIRED;
        strip_hop_by_hop(head.headers_mut(), advertises);
        *head.version_mut() = Version::HTTP_11;
        let connection = match (conn.keep_alive, self.version) {
            (false, _) => Some("close"),
            (true, Version::HTTP_10) => Some("keep-alive"),
            (true, _) => None,
        };
        for option in connection.into_iter().chain(head.headers().contains_key(UPGRADE).then_some("upgrade")) {
            head.headers_mut().append(CONNECTION, HeaderValue::from_static(option));
        }
        encode_response(&head, framing, conn.head_space());
        drop(conn);
        Ok(Outgoing::new(self.conn, framing, end))
    }

    /// Sends a 101, or a 2xx to CONNECT, and gives up the connection as bare bytes.
    pub(crate) async fn upgrade(self, mut head: Response<()>) -> Result<Io, Broken> {
        let switching = head.status() == StatusCode::SWITCHING_PROTOCOLS;
        if !self.upgrade || switching == (self.method == Method::CONNECT) {
            return Err(self.conn.borrow().malformed("an upgrade that was not asked for"));
        }
        strip_hop_by_hop(head.headers_mut(), switching);
        head.headers_mut().remove(CONTENT_LENGTH);
        if switching {
            head.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
        *head.version_mut() = Version::HTTP_11;
        encode_response(&head, BodyFraming::None, self.conn.borrow_mut().head_space());
        flush(&self.conn).await?;
        let mut conn = self.conn.borrow_mut();
        conn.leaving = Leaving::Done;
        conn.take_io().ok_or(Broken::Closed)
    }

    /// Resolves when the client is gone for certain: a reset. A FIN is not enough, it may still read; after one, the first
    /// failing write tells. While the request body is being read, its reader is told instead. May be dropped and called again.
    pub(crate) async fn closed(&mut self) -> Broken {
        poll_fn(|cx| self.conn.borrow_mut().poll_gone(cx)).await
    }
}

/// The framing of a response to `method` from a client of `version`. A body of unknown length is chunked where the client
/// knows chunks, and one with announced trailers too, since only chunks can carry them.
fn response_body(method: &Method, version: Version, head: &Response<()>, end: bool) -> Result<BodyFraming, &'static str> {
    if response_has_no_body(method, head.status()) {
        return Ok(BodyFraming::None);
    }
    let chunks = version == Version::HTTP_11;
    match (content_length(head.headers())?, end) {
        (None | Some(0), true) => Ok(BodyFraming::Length(0)),
        (Some(_), true) => Err("content-length of a response without a body"),
        (Some(_), false) if chunks && head.headers().contains_key(TRAILER) => Ok(BodyFraming::Chunked),
        (Some(length), false) => Ok(BodyFraming::Length(length)),
        (None, false) if chunks => Ok(BodyFraming::Chunked),
        (None, false) => Ok(BodyFraming::UntilClose),
    }
}

/// What the head says of its length, the other side's codec having checked it or not.
pub(super) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit())).map(str::parse) {
        Some(Ok(length)) if values.next().is_none() => Ok(Some(length)),
        _ => Err("content-length is not one decimal number"),
    }
}

/// What is read of an unwanted request body so that the connection can go on.
const DRAINED: usize = 256 * 1024;
const TOO_SLOW: Rejected = Rejected { status: StatusCode::REQUEST_TIMEOUT, reason: "the request head took too long" };
