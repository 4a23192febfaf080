//! Looks at the frames that pass on one HTTP/2 connection, and touches none; sees to it that the last of them arrive.
//!
//! The `h2` crate answers pings and settings without a word to anybody, and does not say what has left. So the bytes are looked at on their way
//! to and from it: a peer that floods is read no further, and who drives the connection ends it. One that sends many small frames at once is
//! read in turns.
//!
//! At the end of a connection one side still sends what the other will not read any more, a reset is the kernel's answer, and it takes along
//! what has been said before. So a server reads on for a moment after its last word, and a client that cannot send any more still reads.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use weft_core::http2::{Credit, HEADERS, RST_STREAM, Walk};

use crate::clock;
use crate::io::Io;

/// What was seen so far.
pub(super) struct Seen {
    credit: Cell<Credit>,
    flooded: Cell<bool>,
    /// The last stream whose head has left.
    last: Cell<u32>,
    /// Streams that this side has reset.
    resets: Cell<u32>,
    /// Bytes that have come.
    came: Cell<u64>,
}

impl Seen {
    /// Whether the peer has sent so much that carries nothing that it is not read any more.
    pub(super) fn flooded(&self) -> bool {
        self.flooded.get()
    }

    /// Bytes that the peer has sent.
    pub(super) fn came(&self) -> u64 {
        self.came.get()
    }

    /// Whether the head of this stream of our own has left, as far as this side knows.
    pub(super) fn has_left(&self, stream: u32) -> bool {
        stream <= self.last.get()
    }

    /// Whether so many streams were reset that the connection should be followed by another. What comes late for a stream that the crate has
    /// forgotten counts as an error of the peer's, without end: after [`super::ERRORS`] of them it cuts off the whole connection.
    pub(super) fn is_worn(&self) -> bool {
        self.resets.get() >= RESETS
    }
}

/// A byte stream that carries HTTP/2.
pub(super) struct Watched {
    io: Io,
    incoming: Walk,
    outgoing: Walk,
    turn: Turn,
    seen: Rc<Seen>,
    side: Side,
}

/// What was read since others had their turn.
#[derive(Default)]
struct Turn {
    frames: usize,
    bytes: usize,
}

impl Turn {
    fn is_over(&self) -> bool {
        self.frames >= TURN_FRAMES || self.bytes >= TURN_BYTES
    }
}

enum Side {
    Client {
        /// The server takes nothing any more; what it has said so far may still wait here.
        deaf: bool,
    },
    Server {
        /// How long the client is still listened to, after the last word to it, and for how many bytes.
        parting: Option<(Pin<Box<Sleep>>, usize)>,
    },
}

impl Watched {
    pub(super) fn server(io: Io) -> (Self, Rc<Seen>) {
        Self::new(io, Walk::behind_preface(), Walk::default(), Side::Server { parting: None })
    }

    pub(super) fn client(io: Io) -> (Self, Rc<Seen>) {
        Self::new(io, Walk::default(), Walk::behind_preface(), Side::Client { deaf: false })
    }

    fn new(io: Io, incoming: Walk, outgoing: Walk, side: Side) -> (Self, Rc<Seen>) {
        let seen = Rc::new(Seen {
            credit: Cell::new(Credit::new(clock::now())),
            flooded: Cell::new(false),
            last: Cell::new(0),
            resets: Cell::new(0),
            came: Cell::new(0),
        });
        (Watched { io, incoming, outgoing, turn: Turn::default(), seen: seen.clone(), side }, seen)
    }

    fn came(&mut self, bytes: &[u8]) {
        let mut credit = self.seen.credit.get();
        self.incoming.feed(bytes, |head| {
            credit.received(head);
            self.turn.frames += 1;
        });
        self.turn.bytes += bytes.len();
        self.seen.came.set(self.seen.came.get() + bytes.len() as u64);
        if credit.is_low() {
            self.seen.flooded.set(credit.is_spent(clock::now()));
        }
        self.seen.credit.set(credit);
    }

    fn went<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>, mut bytes: usize) {
        let (mut credit, mut last, mut resets) = (self.seen.credit.get(), self.seen.last.get(), self.seen.resets.get());
        for piece in pieces {
            let piece = &piece[..bytes.min(piece.len())];
            bytes -= piece.len();
            self.outgoing.feed(piece, |head| {
                credit.sent(head);
                match head.kind {
                    HEADERS => last = last.max(head.stream),
                    RST_STREAM => resets += 1,
                    _ => {}
                }
            });
        }
        self.seen.credit.set(credit);
        self.seen.last.set(last);
        self.seen.resets.set(resets);
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.seen.flooded.get() {
            // Nobody is to be woken: who drives the connection looks at the flag next.
            return Poll::Pending;
        }
        if self.turn.is_over() {
            self.turn = Turn::default();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if read.is_pending() {
            self.turn = Turn::default();
        }
        self.came(&buf.filled()[before..]);
        read
    }
}

impl Watched {
    fn is_deaf(&self) -> bool {
        matches!(self.side, Side::Client { deaf: true })
    }

    fn wrote(&mut self, wrote: io::Result<usize>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match wrote {
            Ok(bytes) => {
                self.went(bufs.iter().map(|buf| &**buf), bytes);
                Ok(bytes)
            }
            // None of it has left, so it is not counted.
            Err(error) if self.turns_deaf(&error) => Ok(total(bufs)),
            Err(error) => Err(error),
        }
    }

    /// Whether this is the client's side and the server is gone. The crate is not told, because it would look no further, and the answers that
    /// the server sent before lie in the socket; behind them reading finds the end.
    fn turns_deaf(&mut self, error: &io::Error) -> bool {
        match &mut self.side {
            Side::Client { deaf } if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                *deaf = true;
                true
            }
            _ => false,
        }
    }
}

fn total(bufs: &[IoSlice<'_>]) -> usize {
    bufs.iter().map(|buf| buf.len()).sum()
}

/// Reads and forgets until the peer has closed, or `left` bytes have come.
fn poll_end(io: &mut Io, left: &mut usize, cx: &mut Context<'_>) -> Poll<()> {
    let mut room = [MaybeUninit::uninit(); 4096];
    while *left > 0 {
        let mut buf = ReadBuf::uninit(&mut room);
        let read = ready!(Pin::new(&mut *io).poll_read(cx, &mut buf));
        if read.is_err() || buf.filled().is_empty() {
            break;
        }
        *left = left.saturating_sub(buf.filled().len());
    }
    Poll::Ready(())
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_deaf() {
            return Poll::Ready(Ok(buf.len()));
        }
        let wrote = ready!(Pin::new(&mut self.io).poll_write(cx, buf));
        Poll::Ready(self.wrote(wrote, &[IoSlice::new(buf)]))
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.is_deaf() {
            return Poll::Ready(Ok(total(bufs)));
        }
        let wrote = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, bufs));
        Poll::Ready(self.wrote(wrote, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_deaf() {
            return Poll::Ready(Ok(()));
        }
        match ready!(Pin::new(&mut self.io).poll_flush(cx)) {
            Err(error) if !self.turns_deaf(&error) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let (over, left) = match &mut this.side {
            Side::Server { parting: Some(parting) } => parting,
            Side::Server { parting } if !this.seen.flooded() => {
                ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
                parting.insert((Box::pin(tokio::time::sleep(PARTING)), UNHEARD))
            }
            _ => return Pin::new(&mut this.io).poll_shutdown(cx),
        };
        if over.as_mut().poll(cx).is_pending() {
            ready!(poll_end(&mut this.io, left, cx));
        }
        Poll::Ready(Ok(()))
    }
}

/// Frames that are read before those who wait for them get to take them. The crate holds a record for each that nobody has taken, and ends the
/// connection when small ones are more than some ten thousand; a socket can hold more than that.
const TURN_FRAMES: usize = 1024;
/// The same in bytes: those of large bodies are still in the processor's cache when they are taken. Saves 2 % of its time with 1 MiB bodies.
const TURN_BYTES: usize = 256 << 10;
/// Streams that may be reset on one connection before it is left for another: a new one costs a handshake.
const RESETS: u32 = 1_000;
/// For what a client still sends until it has heard that nobody listens any more.
const PARTING: Duration = Duration::from_secs(2);
/// The same in bytes: more than is usually under way.
const UNHEARD: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn sockets() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = listener.local_addr().expect("address");
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.expect("connects"), far.expect("accepts").0)
    }

    /// Requirement (a defect once: requests that had been answered were lost on a busy machine): what a server has said before it closed is
    /// read, also when it closed with a reset and the client was still sending.
    #[tokio::test]
    async fn the_last_words_of_a_server_that_takes_nothing_more_are_read() {
        let (near, mut far) = sockets().await;
        let (mut near, seen) = Watched::client(Io::new(near));
        near.write_all(&[0; 100]).await.expect("sent");
        far.write_all(b"the answer").await.expect("answered");
        // With bytes that nobody has read: a reset.
        drop(far);
        near.write_all(&[0; 100]).await.expect("nobody is told");
        near.flush().await.expect("nobody is told");
        let mut heard = Vec::new();
        let _ = near.read_to_end(&mut heard).await;
        assert_eq!(heard, b"the answer");
        assert!(near.is_deaf() && !seen.flooded());
    }

    /// Requirement: whoever sends much at once is read in turns, so that what has come is taken before more is read; the turn comes back by itself.
    #[tokio::test]
    async fn a_large_body_is_read_in_turns() {
        let (near, _far) = sockets().await;
        let mut body = vec![0; 4 * TURN_BYTES];
        // The head of a DATA frame of 16 MiB on the first stream.
        body[..9].copy_from_slice(&[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]);
        let (mut near, _) = Watched::client(Io::new(near).with_prefix(body.into()));
        let mut turns = Vec::new();
        while turns.iter().sum::<usize>() < 4 * TURN_BYTES {
            let mut turn = 0;
            std::future::poll_fn(|cx| {
                let mut room = [0; TURN_BYTES / 4];
                let mut buf = ReadBuf::new(&mut room);
                while Pin::new(&mut near).poll_read(cx, &mut buf).is_ready() {
                    turn += buf.filled().len();
                    buf.clear();
                }
                Poll::Ready(())
            })
            .await;
            turns.push(turn);
        }
        assert_eq!(turns, [TURN_BYTES; 4]);
    }

    /// Requirement: a server that has said its last word goes on reading until the client has closed too, or its words would be lost with a
    /// reset; its own end is told at once.
    #[tokio::test]
    async fn a_server_that_parts_still_listens() {
        let (near, mut far) = sockets().await;
        let (mut near, _) = Watched::server(Io::new(near));
        near.write_all(b"the answer").await.expect("sent");
        let client = async move {
            let mut heard = Vec::new();
            far.read_to_end(&mut heard).await.expect("a clean end");
            assert_eq!(heard, b"the answer");
            // A reset that this brought about would be there before the next one.
            far.write_all(&[0; 1000]).await.expect("taken");
            far.write_all(&[0; 1000]).await.expect("taken");
        };
        let (ended, ()) = tokio::join!(near.shutdown(), client);
        ended.expect("the client has closed");
    }
}
