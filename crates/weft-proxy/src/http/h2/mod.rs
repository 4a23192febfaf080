//! HTTP/2 on the `h2` crate: bodies, shared by the server side and the client side.
//!
//! A body never buffers beyond its window: room is given back to the sender when the next piece is asked for, that is when the previous
//! one was taken by the other side, and nothing is sent for which the receiver has not made room.

pub(crate) mod client;
pub(crate) mod server;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{Ping, PingPong, Reason, RecvStream, SendStream};
use http::HeaderMap;

use super::{Broken, Frame};
use client::Stream;

/// How a connection is found dead: a ping after each `interval`, whose answer must come within `timeout`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepAlive {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

impl Default for KeepAlive {
    fn default() -> Self {
        KeepAlive { interval: Duration::from_secs(10), timeout: Duration::from_secs(3) }
    }
}

/// Resolves when the peer leaves a ping unanswered; while it lives, pings are sent.
async fn silent(mut pings: PingPong, keep_alive: KeepAlive) {
    loop {
        tokio::time::sleep(keep_alive.interval).await;
        match tokio::time::timeout(keep_alive.timeout, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            // The connection is over; whoever drives it learns that, and why, by itself.
            Ok(Err(_)) => std::future::pending().await,
            Err(_) => return,
        }
    }
}

/// A body that arrives on one stream.
pub(crate) struct Source {
    recv: RecvStream,
    /// Bytes handed out last, whose room the sender gets back with the next call.
    held: usize,
    length: Option<u64>,
    /// Present on the client side; keeps the stream counted as open and able to be reset.
    stream: Option<Rc<Stream>>,
}

impl Source {
    fn new(recv: RecvStream, headers: &HeaderMap, stream: Option<Rc<Stream>>) -> Self {
        // The crate has checked that there is at most one and that the data adds up to it.
        let length = headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        Source { recv, held: 0, length, stream }
    }

    pub(crate) async fn frame(&mut self) -> Result<Option<Frame>, Broken> {
        poll_fn(|cx| self.poll_frame(cx)).await
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, Broken>> {
        self.release();
        while let Some(data) = ready!(self.recv.poll_data(cx)) {
            let data = data.map_err(broken)?;
            if data.is_empty() {
                continue;
            }
            self.held = data.len();
            return Poll::Ready(Ok(Some(Frame::Data(data))));
        }
        let trailers = ready!(self.recv.poll_trailers(cx)).map_err(broken)?;
        Poll::Ready(Ok(trailers.map(Frame::Trailers)))
    }

    pub(crate) fn is_end(&self) -> bool {
        self.recv.is_end_stream()
    }

    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    pub(crate) fn abort(&mut self, code: Reason) {
        if let Some(stream) = &self.stream {
            stream.abort(code);
        }
    }

    fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        if held > 0 {
            // Fails only on a stream that is over, where nobody waits for room.
            let _ = self.recv.flow_control().release_capacity(held);
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // The connection's window is shared: what was taken from it goes back even if this stream is over.
        self.release();
    }
}

/// A body that is sent on one stream.
pub(crate) struct Outgoing {
    send: Option<SendStream<Bytes>>,
    /// Present on the client side, where the stream must stay able to be reset after the request was sent.
    stream: Option<Rc<Stream>>,
}

impl Outgoing {
    fn new(send: SendStream<Bytes>, stream: Option<Rc<Stream>>) -> Self {
        Outgoing { send: Some(send), stream }
    }

    pub(crate) async fn data(&mut self, mut data: Bytes) -> Result<(), Broken> {
        let Some(send) = &mut self.send else { return Err(Broken::Closed) };
        while !data.is_empty() {
            send.reserve_capacity(data.len());
            let room = match send.capacity() {
                0 => poll_fn(|cx| send.poll_capacity(cx)).await.ok_or(Broken::Closed).and_then(|room| room.map_err(broken)),
                room => Ok(room),
            };
            let sent = room.and_then(|room| send.send_data(data.split_to(room.min(data.len())), false).map_err(broken));
            sent.map_err(|why| reset_code(send).unwrap_or(why))?;
        }
        Ok(())
    }

    pub(crate) fn trailers(mut self, trailers: HeaderMap) -> Result<(), Broken> {
        let Some(mut send) = self.send.take() else { return Err(Broken::Closed) };
        let sent = send.send_trailers(trailers).map_err(|why| reset_code(&mut send).unwrap_or_else(|| broken(why)));
        self.settle(send);
        sent
    }

    pub(crate) fn finish(mut self) -> Result<(), Broken> {
        let Some(mut send) = self.send.take() else { return Err(Broken::Closed) };
        let sent = send.send_data(Bytes::new(), true).map_err(|why| reset_code(&mut send).unwrap_or_else(|| broken(why)));
        self.settle(send);
        sent
    }

    pub(crate) fn abort(mut self, code: Reason) {
        if let Some(mut send) = self.send.take() {
            send.send_reset(code);
        }
    }

    pub(crate) async fn closed(&mut self) -> Broken {
        match &mut self.send {
            Some(send) => poll_fn(|cx| send.poll_reset(cx)).await.map_or_else(broken, of_code),
            None => Broken::Closed,
        }
    }

    /// Leaves the stream where an abort can still reach it.
    fn settle(&mut self, send: SendStream<Bytes>) {
        if let Some(stream) = &self.stream {
            stream.keep(send);
        }
    }
}

/// A peer's reset explains a failed write better than the write's own error ("inactive stream") does.
fn reset_code(send: &mut SendStream<Bytes>) -> Option<Broken> {
    match send.poll_reset(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(code)) => Some(of_code(code)),
        Poll::Ready(Err(error)) => Some(broken(error)),
        Poll::Pending => None,
    }
}

fn of_code(code: Reason) -> Broken {
    if code == Reason::REFUSED_STREAM { Broken::Refused } else { Broken::Reset(code) }
}

fn broken(error: h2::Error) -> Broken {
    if let Some(io) = error.get_io() {
        return Broken::Io(io.kind());
    }
    match error.reason() {
        // Only streams above the last one that the peer names are told of its GOAWAY; it has not acted on them.
        Some(_) if error.is_go_away() && error.is_remote() => Broken::Refused,
        Some(code) if error.is_reset() && error.is_remote() => of_code(code),
        Some(_) if error.is_library() => Broken::Malformed { status: 502, why: "HTTP/2 protocol error" },
        _ => Broken::Closed,
    }
}

/// Data in flight on one stream before its reader has to make room: a round trip of 1 ms at 8 Gbit/s, of 80 ms at 100 Mbit/s.
const STREAM_WINDOW: u32 = 1 << 20;
/// The same for all streams of one connection together: what a connection can make this process hold.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// All header fields of one message, counted as RFC 9113 6.5.2 does.
const HEADER_LIST: u32 = 64 << 10;
/// Bytes accepted from one exchange and not yet written to the socket.
const SEND_BUFFER: usize = 256 << 10;
