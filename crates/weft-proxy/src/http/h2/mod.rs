//! HTTP/2 on the `h2` crate: bodies, shared by the server side and the client side.
//!
//! A body never buffers beyond its window: room is given back to the sender when the next piece is asked for, that is when the previous
//! one was taken by the other side, and nothing is sent for which the receiver has not made room.

pub(crate) mod client;
pub(crate) mod server;
mod standing;
mod watch;

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::{Ping, PingPong, Reason, RecvStream, SendStream};
use http::HeaderMap;

use super::{Broken, Frame};
use crate::io::Io;
use client::Stream;
use standing::{Seat, Standing};

/// How a connection is found dead: a ping after each `interval`, whose answer must come within `timeout`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepAlive {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

/// How one connection is run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tuning {
    pub(crate) keep_alive: Option<KeepAlive>,
    pub(crate) windows: Windows,
}

/// Bytes that a peer may send before this side has taken them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    /// On one stream: a round trip of 1 ms at 8 Gbit/s, of 80 ms at 100 Mbit/s.
    pub(crate) stream: u32,
    /// On all streams of one connection together. Where they can fill it, those that nobody reads stop the others.
    pub(crate) connection: u32,
}

impl Windows {
    /// For peers in the neighbourhood that are no proxies and keep their windows whatever stands: a thousand bodies that nobody reads are 256 MiB
    /// then. A round trip of 1 ms at 2 Gbit/s.
    pub(crate) fn fixed(self) -> Self {
        Windows { stream: self.stream.min(256 << 10), ..self }
    }
}

impl Default for Windows {
    fn default() -> Self {
        Windows { stream: 1 << 20, connection: 1 << 30 }
    }
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
            Ok(Err(_)) => pending().await,
            Err(_) => return,
        }
    }
}

/// A body that arrives on one stream.
pub(crate) struct Source {
    /// Present where more was to come from another proxy when it was made.
    _seat: Option<Seat>,
    recv: RecvStream,
    /// Bytes handed out last, whose room the sender gets back with the next call.
    held: usize,
    /// Small pieces that have come while the one before waits for its receiver, in one piece; then what came behind them.
    gathered: BytesMut,
    behind: Option<Bytes>,
    /// Present on the client side; keeps the stream counted as open and able to be reset.
    stream: Option<Rc<Stream>>,
}

impl Source {
    fn new(mut recv: RecvStream, stream: Option<Rc<Stream>>, standing: Option<&Rc<Standing>>) -> Self {
        let seat = standing.filter(|_| !recv.is_end_stream()).map(|standing| standing.watch(&mut recv));
        Source { _seat: seat, recv, held: 0, gathered: BytesMut::new(), behind: None, stream }
    }

    pub(crate) async fn frame(&mut self) -> Result<Option<Frame>, Broken> {
        poll_fn(|cx| self.poll_frame(cx)).await
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, Broken>> {
        self.release();
        if !self.gathered.is_empty() {
            let data = std::mem::take(&mut self.gathered).freeze();
            self.held = data.len();
            return Poll::Ready(Ok(Some(Frame::Data(data))));
        }
        if let Some(data) = self.behind.take() {
            self.held = data.len();
            return Poll::Ready(Ok(Some(Frame::Data(data))));
        }
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
        self.gathered.is_empty() && self.behind.is_none() && self.recv.is_end_stream()
    }

    /// To be polled while the last piece waits for its receiver. The crate holds a record for every frame that nobody takes, and ends the whole
    /// connection when small ones are many: a slow receiver of small messages would take everybody else's streams with it. Joined they cost
    /// their bytes, and those are bounded by the window, which stays taken. Never resolves.
    pub(crate) async fn gather(&mut self) -> Infallible {
        poll_fn(|cx| {
            while self.behind.is_none() {
                match ready!(self.recv.poll_data(cx)) {
                    Some(Ok(data)) if data.len() < SMALL => self.gathered.extend_from_slice(&data),
                    Some(Ok(data)) => self.behind = Some(data),
                    // Told again to whoever asks for the next piece.
                    Some(Err(_)) | None => break,
                }
            }
            Poll::Pending
        })
        .await
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
    /// None when the body is complete.
    send: Option<SendStream<Bytes>>,
    /// Present on the client side, where the stream must stay able to be reset after the request was sent.
    stream: Option<Rc<Stream>>,
}

impl Outgoing {
    fn new(send: SendStream<Bytes>, end: bool, stream: Option<Rc<Stream>>) -> Self {
        let mut outgoing = Outgoing { send: Some(send), stream };
        if end {
            outgoing.settle();
        }
        outgoing
    }

    pub(crate) async fn data(&mut self, data: Bytes) -> Result<(), Broken> {
        self.write(data, false).await
    }

    pub(crate) async fn last(mut self, data: Bytes) -> Result<(), Broken> {
        self.write(data, true).await?;
        self.settle();
        Ok(())
    }

    async fn write(&mut self, mut data: Bytes, end: bool) -> Result<(), Broken> {
        let send = self.send.as_mut().ok_or(Broken::Closed)?;
        while !data.is_empty() {
            send.reserve_capacity(data.len());
            let room = match send.capacity() {
                0 => match poll_fn(|cx| send.poll_capacity(cx)).await {
                    Some(Ok(room)) => room,
                    Some(Err(error)) => return Err(broken(error)),
                    None => return Err(reset_code(send).unwrap_or(Broken::Closed)),
                },
                room => room,
            };
            let piece = data.split_to(room.min(data.len()));
            let last = end && data.is_empty();
            if let Err(error) = send.send_data(piece, last) {
                return Err(reset_code(send).unwrap_or_else(|| broken(error)));
            }
        }
        Ok(())
    }

    pub(crate) fn trailers(mut self, trailers: HeaderMap) -> Result<(), Broken> {
        let send = self.send.as_mut().ok_or(Broken::Closed)?;
        if let Err(error) = send.send_trailers(trailers) {
            return Err(reset_code(send).unwrap_or_else(|| broken(error)));
        }
        self.settle();
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<(), Broken> {
        let Some(send) = &mut self.send else { return Ok(()) };
        if let Err(error) = send.send_data(Bytes::new(), true) {
            return Err(reset_code(send).unwrap_or_else(|| broken(error)));
        }
        self.settle();
        Ok(())
    }

    pub(crate) fn abort(mut self, code: Reason) {
        match (self.send.take(), &self.stream) {
            (Some(mut send), _) => send.send_reset(code),
            (None, Some(stream)) => stream.abort(code),
            (None, None) => {}
        }
    }

    /// A reset of the crate's takes along what waits on its stream, the head too, and a client that never saw a head takes the break for a
    /// refusal. What is merely dropped is cancelled behind it.
    pub(crate) async fn break_off(self, code: Reason) {
        if code == Reason::CANCEL && self.stream.is_none() {
            return;
        }
        // The task of the connection was woken when the head was queued, so it has its turn first.
        tokio::task::yield_now().await;
        self.abort(code);
    }

    pub(crate) async fn closed(&mut self) -> Broken {
        match &mut self.send {
            Some(send) => poll_fn(|cx| send.poll_reset(cx)).await.map_or_else(broken, of_code),
            None => pending().await,
        }
    }

    /// The body is complete: on the client side, leaves the stream where an abort can still reach it.
    fn settle(&mut self) {
        if let (Some(send), Some(stream)) = (self.send.take(), &self.stream) {
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
        Some(_) if error.is_go_away() && error.is_remote() => Broken::Leaving,
        Some(code) if error.is_reset() && error.is_remote() => of_code(code),
        Some(_) if error.is_library() => Broken::Malformed { status: 502, why: "HTTP/2 protocol error" },
        _ => Broken::Closed,
    }
}

/// Streams that were reset here and whose late frames are ignored, for a second, instead of being taken for errors: as many as may be open.
const RESETS_REMEMBERED: usize = 1024;
/// Protocol errors on single streams that one connection may cost in all its life. Frames that come late count, so it is far above what is
/// still under way when a connection is left (`watch::Seen::is_worn`); a stream's record, some 400 bytes, waits for each to be told.
const ERRORS: usize = 10_000;
/// The largest frame that is taken. From another proxy eight times the usual: with [`PIECE`] in it, such a frame fills eight TLS records, which
/// leave in one call; the same in usual ones is sixteen records, eight of them for nine bytes, and eight calls. And the application that it is for
/// is woken once for it. With reading as much at once below TLS frames of 64 KiB save 6 % of the processor time of 1 MiB bodies and 8 % of that
/// of 100 MiB, frames of 128 KiB 5 % more (95 % interval 3 to 7), frames of 256 KiB less than that.
fn frame(io: &Io) -> u32 {
    if io.is_meshed() { 128 << 10 } else { 16 << 10 }
}
/// The largest piece of a body that is read at once, so that a frame around it is of 128 KiB.
pub(super) const PIECE: usize = (128 << 10) - 9;
/// A frame below this costs the crate more than its bytes.
const SMALL: usize = 256;
/// Bytes that small frames which nobody has taken may cost the crate beyond their own before it ends the connection. By itself it would take half
/// the connection's window for that.
const SMALL_FRAMES: usize = 8 << 20;
/// All header fields of one message, counted as RFC 9113 6.5.2 does.
const HEADER_LIST: u32 = 64 << 10;
/// Bytes accepted from one exchange and not yet written to the socket.
const SEND_BUFFER: usize = 256 << 10;
