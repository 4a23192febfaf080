//! Looks at the frames that pass on one HTTP/2 connection, and touches none.
//!
//! The `h2` crate answers pings and settings without a word to anybody, and does not say what has left. So the bytes are looked at on their way
//! to and from it: a peer that floods is read no further, and who drives the connection ends it. One that sends many small frames at once is
//! read in turns.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use weft_core::http2::{Credit, HEADERS, Head, Walk};

use crate::clock;
use crate::io::Io;

/// What was seen so far.
pub(super) struct Seen {
    credit: Cell<Credit>,
    flooded: Cell<bool>,
    /// The last stream whose head has left.
    last: Cell<u32>,
}

impl Seen {
    /// Whether the peer has sent so much that carries nothing that it is not read any more.
    pub(super) fn flooded(&self) -> bool {
        self.flooded.get()
    }

    /// Whether the head of this stream of our own has left, as far as this side knows.
    pub(super) fn has_left(&self, stream: u32) -> bool {
        stream <= self.last.get()
    }
}

/// A byte stream that carries HTTP/2.
pub(super) struct Watched {
    io: Io,
    incoming: Walk,
    outgoing: Walk,
    /// Frames read since others had their turn.
    turn: usize,
    seen: Rc<Seen>,
}

impl Watched {
    pub(super) fn server(io: Io) -> (Self, Rc<Seen>) {
        Self::new(io, Walk::behind_preface(), Walk::default())
    }

    pub(super) fn client(io: Io) -> (Self, Rc<Seen>) {
        Self::new(io, Walk::default(), Walk::behind_preface())
    }

    fn new(io: Io, incoming: Walk, outgoing: Walk) -> (Self, Rc<Seen>) {
        let seen = Rc::new(Seen { credit: Cell::new(Credit::new(clock::now())), flooded: Cell::new(false), last: Cell::new(0) });
        (Watched { io, incoming, outgoing, turn: 0, seen: seen.clone() }, seen)
    }

    fn came(&mut self, bytes: &[u8]) {
        let mut credit = self.seen.credit.get();
        self.incoming.feed(bytes, |head| {
            credit.received(head);
            self.turn += 1;
        });
        if credit.is_low() {
            self.seen.flooded.set(credit.is_spent(clock::now()));
        }
        self.seen.credit.set(credit);
    }

    fn went<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>, mut bytes: usize) {
        let (mut credit, mut last) = (self.seen.credit.get(), self.seen.last.get());
        for piece in pieces {
            let piece = &piece[..bytes.min(piece.len())];
            bytes -= piece.len();
            self.outgoing.feed(piece, |head| {
                credit.sent(head);
                if let Head { kind: HEADERS, stream, .. } = head {
                    last = last.max(stream);
                }
            });
        }
        self.seen.credit.set(credit);
        self.seen.last.set(last);
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.seen.flooded.get() {
            // Nobody is to be woken: who drives the connection looks at the flag next.
            return Poll::Pending;
        }
        if self.turn >= TURN {
            self.turn = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if read.is_pending() {
            self.turn = 0;
        }
        self.came(&buf.filled()[before..]);
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.io).poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = wrote {
            self.went([buf], bytes);
        }
        wrote
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(bytes)) = wrote {
            self.went(bufs.iter().map(|buf| &**buf), bytes);
        }
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Frames that are read before those who wait for them get to take them. The crate holds a record for each that nobody has taken, and ends the
/// connection when small ones are more than some ten thousand; a socket can hold more than that.
const TURN: usize = 1024;
