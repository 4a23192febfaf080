//! Bytes between two streams, both ways at once, unread and unchanged.
//!
//! Passes on exactly what each side says: a half-close becomes a half-close, a failure becomes a reset, never a clean end. A side that takes
//! nothing stops the other one from sending: what is held is one buffer each way, and none while nothing moves. Never decides who may talk.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite};

use crate::io::Io;

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// What a relay has done when it ends.
#[derive(Debug)]
pub(crate) struct Carried {
    /// Bytes from the client that the server's socket took.
    pub(crate) up: u64,
    /// Bytes from the server that the client's socket took.
    pub(crate) down: u64,
    pub(crate) end: End,
}

/// How a relay ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Both sides finished.
    Complete,
    /// The client failed; the server's connection was reset.
    ClientBroke(io::Error),
    /// The server failed; the client's connection was reset.
    ServerBroke(io::Error),
}

/// Relays until both sides have finished or one fails. `moved` is told of bytes as they are taken. Dropping the future closes both.
pub(crate) async fn run(mut client: Io, mut server: Io, mut moved: impl FnMut(Way, usize)) -> Carried {
    let (mut up, mut down) = (Half::new(), Half::new());
    let ended = poll_fn(|cx| {
        let up_done = up.poll(cx, &mut client, &mut server, |bytes| moved(Way::Up, bytes));
        if let Poll::Ready(Err(failed)) = up_done {
            return Poll::Ready(Err((Way::Up, failed)));
        }
        let down_done = down.poll(cx, &mut server, &mut client, |bytes| moved(Way::Down, bytes));
        if let Poll::Ready(Err(failed)) = down_done {
            return Poll::Ready(Err((Way::Down, failed)));
        }
        if up_done.is_ready() && down_done.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await;
    let end = match ended {
        Ok(()) => End::Complete,
        Err((Way::Up, Failed::Reading(error)) | (Way::Down, Failed::Writing(error))) => End::ClientBroke(error),
        Err((Way::Down, Failed::Reading(error)) | (Way::Up, Failed::Writing(error))) => End::ServerBroke(error),
    };
    if !matches!(end, End::Complete) {
        client.abort();
        server.abort();
    }
    Carried { up: up.total, down: down.total, end }
}

enum Failed {
    Reading(io::Error),
    Writing(io::Error),
}

/// One direction.
struct Half {
    buffer: BytesMut,
    /// Size of the next buffer: grows while reads fill it, falls back when the stream is quiet.
    size: usize,
    total: u64,
    state: State,
}

enum State {
    Open,
    /// The end was read; what is in the buffer and then the end go out.
    Ending,
    Done,
}

impl Half {
    fn new() -> Self {
        Half { buffer: BytesMut::new(), size: SMALLEST, total: 0, state: State::Open }
    }

    fn poll(&mut self, cx: &mut Context<'_>, from: &mut Io, to: &mut Io, mut moved: impl FnMut(usize)) -> Poll<Result<(), Failed>> {
        loop {
            while self.buffer.has_remaining() {
                let taken = ready!(Pin::new(&mut *to).poll_write(cx, &self.buffer)).map_err(Failed::Writing)?;
                if taken == 0 {
                    return Poll::Ready(Err(Failed::Writing(io::ErrorKind::WriteZero.into())));
                }
                self.buffer.advance(taken);
                self.total += taken as u64;
                moved(taken);
            }
            match self.state {
                State::Open => match self.fill(cx, from) {
                    Poll::Ready(Ok(0)) => self.state = State::Ending,
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Failed::Reading(error))),
                    Poll::Pending => {
                        // TLS may hold back what a plain stream has sent.
                        ready!(Pin::new(&mut *to).poll_flush(cx)).map_err(Failed::Writing)?;
                        return Poll::Pending;
                    }
                },
                State::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx)).map_err(Failed::Writing)?;
                    self.state = State::Done;
                }
                State::Done => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Reads once into a fresh buffer, which exists only while it holds something.
    fn fill(&mut self, cx: &mut Context<'_>, from: &mut Io) -> Poll<io::Result<usize>> {
        let mut buffer = BytesMut::with_capacity(self.size);
        let read = ready!(pin!(from.read_buf(&mut buffer)).poll(cx));
        if let Ok(bytes) = read {
            if bytes == self.size {
                self.size = (self.size * 2).min(LARGEST);
            } else if bytes < self.size / 4 {
                self.size = (self.size / 2).max(SMALLEST);
            }
            self.buffer = buffer;
        }
        Poll::Ready(read)
    }
}

const SMALLEST: usize = 4 << 10;
const LARGEST: usize = 64 << 10;
