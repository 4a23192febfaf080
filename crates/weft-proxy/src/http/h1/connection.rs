//! What both ends of an HTTP/1 connection share: the socket, one read buffer, one write queue of a single message piece.
//!
//! Buffers exist only while they hold something: an idle connection owns none. Never knows which end it is.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use weft_core::http1::{BodyDecoder, BodyFraming, Limits, Piece, chunk_end, encode_chunk_size, encode_last_chunk};

use crate::http::h2::PIECE;
use crate::http::{Broken, Frame};
use crate::io::Io;

pub(super) type Shared = Rc<RefCell<Connection>>;

/// How far the message that leaves has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// There is none: no request is being answered, or none has been sent.
    Idle,
    /// A request waits for its final response.
    Owed,
    Body,
    Done,
}

pub(super) struct Connection {
    /// Gone after an abort, or when the connection became another protocol.
    io: Option<Io>,
    pub(super) limits: Limits,
    pub(super) read: BytesMut,
    /// The peer sent its FIN.
    pub(super) eof: bool,
    /// The body that arrives. An exchange that has not begun, or has read everything, is at its end.
    body: BodyDecoder,
    /// Taken from the body ahead of the caller, to know whether it is the last.
    ahead: Option<Result<Piece, Broken>>,
    pub(super) leaving: Leaving,
    pub(super) keep_alive: bool,
    /// Counts exchanges, so that a handle left over from an earlier one touches nothing.
    pub(super) turn: u64,
    out: BytesMut,
    out_body: Bytes,
    out_end: &'static [u8],
    unflushed: bool,
    /// Bytes have left since this was last set to false.
    pub(super) wrote: bool,
    read_size: usize,
    /// The status that a malformed message is answered with: 400 or a limit's own from a client, 502 from a server.
    fault: u16,
}

impl Connection {
    pub(super) fn new(io: Io, limits: Limits, fault: u16) -> Shared {
        Rc::new(RefCell::new(Self {
            io: Some(io),
            limits,
            read: BytesMut::new(),
            eof: false,
            body: BodyDecoder::Done,
            ahead: None,
            leaving: Leaving::Idle,
            keep_alive: true,
            turn: 0,
            out: BytesMut::new(),
            out_body: Bytes::new(),
            out_end: b"",
            unflushed: false,
            wrote: false,
            read_size: READ_FIRST,
            fault,
        }))
    }

    pub(super) fn is_open(&self) -> bool {
        self.io.is_some()
    }

    pub(super) fn malformed(&self, why: &'static str) -> Broken {
        Broken::Malformed { status: self.fault, why }
    }

    pub(super) fn close(&mut self) {
        self.io = None;
        self.keep_alive = false;
    }

    /// Closes with a reset, so that the peer cannot take what it got for the whole.
    pub(super) fn reset(&mut self) {
        if let Some(io) = self.io.take() {
            io.abort();
        }
        self.keep_alive = false;
    }

    /// The bare stream, what was already read in front of it.
    pub(super) fn take_io(&mut self) -> Option<Io> {
        self.keep_alive = false;
        let io = self.io.take()?;
        let read = std::mem::take(&mut self.read);
        Some(if read.is_empty() { io } else { io.with_prefix(read.freeze()) })
    }

    // ---- reading

    /// Adds to the read buffer what has arrived: 0 at the peer's FIN. Reads over the stack, so that waiting costs no buffer.
    pub(super) fn poll_read_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        let mut space = [MaybeUninit::uninit(); READ_FIRST];
        let mut chunk = ReadBuf::uninit(&mut space);
        let Some(io) = &mut self.io else { return Poll::Ready(Err(Broken::Closed)) };
        if let Err(error) = ready!(Pin::new(io).poll_read(cx, &mut chunk)) {
            return Poll::Ready(Err(Broken::Io(error.kind())));
        }
        self.eof |= chunk.filled().is_empty();
        self.read.extend_from_slice(chunk.filled());
        Poll::Ready(Ok(chunk.filled().len()))
    }

    /// The same for a body: straight into a buffer that is given out without a copy, larger while the peer fills it.
    fn poll_read_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Err(Broken::Closed)) };
        self.read.reserve(self.read_size);
        let result = pin!(io.read_buf(&mut self.read)).poll(cx);
        if result.is_pending() && self.read.is_empty() {
            // A stream may be quiet for days: no buffer waits with it.
            self.read = BytesMut::new();
        }
        let count = match ready!(result) {
            Ok(count) => count,
            Err(error) => return Poll::Ready(Err(Broken::Io(error.kind()))),
        };
        self.eof |= count == 0;
        if count >= self.read_size {
            self.read_size = (self.read_size * 2).min(READ_MOST);
        } else if self.read.len() < self.read_size / WASTED {
            // What is given out keeps the whole buffer, and small pieces that wait for a slow receiver may be very many.
            self.read = BytesMut::from(&self.read[..]);
        }
        Poll::Ready(Ok(count))
    }

    pub(super) fn begin_body(&mut self, framing: BodyFraming) {
        self.body = BodyDecoder::new(framing, &self.limits);
        self.ahead = None;
        self.read_size = READ_FIRST;
    }

    /// Whether the arriving body has been given out to its end.
    pub(super) fn body_ended(&self) -> bool {
        self.ahead.is_none() && self.body.is_done()
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, Broken>> {
        loop {
            let piece = match self.ahead.take() {
                Some(piece) => Some(piece?),
                None => self.decode()?,
            };
            match piece {
                Some(Piece::Data(data)) => {
                    // A fault in what follows is reported when it is asked for, after this data.
                    if !self.body.is_done() && !self.read.is_empty() {
                        self.ahead = self.decode().transpose().filter(|piece| !matches!(piece, Ok(Piece::End)));
                    }
                    return Poll::Ready(Ok(Some(Frame::Data(data))));
                }
                Some(Piece::Trailers(trailers)) => {
                    self.decode()?;
                    return Poll::Ready(Ok(Some(Frame::Trailers(trailers))));
                }
                Some(Piece::End) => return Poll::Ready(Ok(None)),
                None if self.eof => {
                    return Poll::Ready(if matches!(self.body, BodyDecoder::UntilClose) {
                        self.body = BodyDecoder::Done;
                        Ok(None)
                    } else {
                        Err(Broken::Closed)
                    });
                }
                None => {
                    ready!(self.poll_read_body(cx))?;
                }
            }
        }
    }

    fn decode(&mut self) -> Result<Option<Piece>, Broken> {
        let piece = self.body.decode(&mut self.read).map_err(|rejected| {
            // Where the next message would begin is unknown from here on.
            self.keep_alive = false;
            let status = if self.fault < 500 { rejected.status.as_u16() } else { self.fault };
            Broken::Malformed { status, why: rejected.reason }
        });
        if self.read.is_empty() && self.body.is_done() {
            self.read = BytesMut::new();
        }
        piece
    }

    /// Resolves when the peer is gone for certain, that is by a reset: after a FIN it may still read. Reads nothing of a body;
    /// whoever reads that is told. Stays pending where there is nothing to learn, until a write fails.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        while self.is_open() && self.body_ended() && !self.eof && self.read.len() < self.limits.head {
            if let Err(broken) = ready!(self.poll_read_head(cx)) {
                return Poll::Ready(broken);
            }
        }
        Poll::Pending
    }

    // ---- writing

    /// The write queue, empty or holding a head: a head is written together with what follows it.
    pub(super) fn head_space(&mut self) -> &mut BytesMut {
        self.unflushed = true;
        &mut self.out
    }

    /// Queues body bytes. The queue holds one piece: the caller flushes before it queues another.
    pub(super) fn queue_data(&mut self, data: Bytes, chunked: bool) {
        debug_assert!(self.out_body.is_empty());
        let end = if chunked { chunk_end() } else { b"" };
        if chunked {
            encode_chunk_size(data.len(), &mut self.out);
        }
        if data.len() <= COPIED {
            self.out.extend_from_slice(&data);
            self.out.extend_from_slice(end);
        } else {
            self.out_body = data;
            self.out_end = end;
        }
        self.unflushed = true;
    }

    /// Queues the end of a chunked body behind what is queued already.
    pub(super) fn queue_last_chunk(&mut self, trailers: Option<&HeaderMap>) {
        if self.out_body.is_empty() && self.out_end.is_empty() {
            encode_last_chunk(trailers, &mut self.out);
        } else {
            debug_assert!(trailers.is_none());
            self.out_end = LAST_CHUNK;
        }
        self.unflushed = true;
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        let Some(io) = &mut self.io else { return Poll::Ready(Err(Broken::Closed)) };
        let mut io = Pin::new(io);
        while !(self.out.is_empty() && self.out_body.is_empty() && self.out_end.is_empty()) {
            let result = if self.out_body.is_empty() && self.out_end.is_empty() {
                io.as_mut().poll_write(cx, &self.out)
            } else {
                let slices = [IoSlice::new(&self.out), IoSlice::new(&self.out_body), IoSlice::new(self.out_end)];
                let first = if self.out.is_empty() { 1 + usize::from(self.out_body.is_empty()) } else { 0 };
                io.as_mut().poll_write_vectored(cx, &slices[first..])
            };
            let written = match ready!(result) {
                Ok(0) => return Poll::Ready(Err(Broken::Io(io::ErrorKind::WriteZero))),
                Ok(written) => written,
                Err(error) => return Poll::Ready(Err(Broken::Io(error.kind()))),
            };
            self.wrote = true;
            let head = written.min(self.out.len());
            self.out.advance(head);
            let body = (written - head).min(self.out_body.len());
            self.out_body.advance(body);
            self.out_end = &self.out_end[written - head - body..];
        }
        if self.out.capacity() > 0 {
            self.out = BytesMut::new();
        }
        self.out_body = Bytes::new();
        match ready!(io.poll_flush(cx)) {
            Ok(()) => self.unflushed = false,
            Err(error) => return Poll::Ready(Err(Broken::Io(error.kind()))),
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until another piece may be queued.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.out_body.is_empty() && self.out_end.is_empty() && self.out.len() <= WAITING {
            return if self.is_open() { Poll::Ready(Ok(())) } else { Poll::Ready(Err(Broken::Closed)) };
        }
        self.poll_flush(cx)
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Ok(())) };
        let result = ready!(Pin::new(io).poll_shutdown(cx));
        Poll::Ready(result.map_err(|error| Broken::Io(error.kind())))
    }
}

/// Waits until everything queued is with the kernel.
pub(super) async fn flush(conn: &Shared) -> Result<(), Broken> {
    std::future::poll_fn(|cx| conn.borrow_mut().poll_flush(cx)).await
}

/// Holds a head of ordinary size and the first bytes of a body in one read.
const READ_FIRST: usize = 16 * 1024;
/// What HTTP/2 carries in one frame.
const READ_MOST: usize = PIECE;
/// A piece that is smaller than its buffer by this factor is copied out of it.
const WASTED: usize = 4;
/// Up to this, copying behind the head is cheaper than a second slice.
const COPIED: usize = 4096;
/// A head and a small piece may wait for more; beyond this it is written first.
const WAITING: usize = 16 * 1024;
/// The end of a chunk's data and of the body.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";
