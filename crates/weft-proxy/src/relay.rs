//! Bytes between two streams, both ways at once, unread and unchanged.
//!
//! Passes on exactly what each side says: a half-close becomes a half-close, a failure becomes a reset, never a clean end. A side that takes
//! nothing stops the other one from sending: what is held is one buffer each way, and none while nothing moves. Never decides who may talk.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite};
use weft_core::outcome::{Blame, Cause};

use crate::io::Io;

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
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

impl End {
    /// Which side's failure it was, as a metric label; none for a clean end.
    pub(crate) fn error(&self) -> Option<(&'static str, Blame)> {
        match self {
            End::Complete => None,
            End::ClientBroke(_) => Some((Cause::ClientGone.label(), Blame::Client)),
            End::ServerBroke(_) => Some((Cause::ServerBroke.label(), Blame::Server)),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Complete => f.write_str("both sides finished"),
            End::ClientBroke(error) => write!(f, "the client failed: {error}"),
            End::ServerBroke(error) => write!(f, "the server failed: {error}"),
        }
    }
}

/// Relays until both sides have finished or one fails. Dropping the future resets both: what was carried is not the whole.
pub(crate) async fn run(client: Io, server: Io) -> Carried {
    let mut ends = Ends { client, server, complete: false };
    let Ends { client, server, complete } = &mut ends;
    let (mut up, mut down) = (Half::new(), Half::new());
    let ended = poll_fn(|cx| {
        let up_done = up.poll(cx, client, server);
        if let Poll::Ready(Err(failed)) = up_done {
            return Poll::Ready(Err((Way::Up, failed)));
        }
        let down_done = down.poll(cx, server, client);
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
    *complete = matches!(end, End::Complete);
    Carried { up: up.total, down: down.total, end }
}

/// The two connections of a relay; they end with a reset unless it came to its end.
struct Ends {
    client: Io,
    server: Io,
    complete: bool,
}

impl Drop for Ends {
    fn drop(&mut self) {
        if !self.complete {
            self.client.abort();
            self.server.abort();
        }
    }
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

    fn poll(&mut self, cx: &mut Context<'_>, from: &mut Io, to: &mut Io) -> Poll<Result<(), Failed>> {
        for _ in 0..TURN {
            while self.buffer.has_remaining() {
                let taken = ready!(Pin::new(&mut *to).poll_write(cx, &self.buffer)).map_err(Failed::Writing)?;
                if taken == 0 {
                    return Poll::Ready(Err(Failed::Writing(io::ErrorKind::WriteZero.into())));
                }
                self.buffer.advance(taken);
                self.total += taken as u64;
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
        cx.waker().wake_by_ref();
        Poll::Pending
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

/// Pieces that one direction passes on before the other has its turn, and other connections theirs: where both sockets keep up, it would
/// use up each time all that the runtime lets a task do at once, which is four times as much and takes 7 % more of the processor's time
/// (95 % interval 3 to 10). Turns of 4 pieces take 30 % more than these, turns of 32 no less.
const TURN: usize = 16;
const SMALLEST: usize = 4 << 10;
const LARGEST: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::tls::tests::secured;

    fn talk<F: Future<Output = ()>>(conversation: F) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            tokio::time::timeout(Duration::from_secs(60), conversation).await.expect("the conversation ends");
        });
    }

    async fn sockets() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let (connected, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        (connected.expect("connect"), accepted.expect("accept").0)
    }

    async fn relayed() -> (TcpStream, TcpStream, JoinHandle<Carried>) {
        let ((client, near), (far, server)) = (sockets().await, sockets().await);
        let relay = tokio::task::spawn_local(async move { run(Io::new(near), Io::new(far)).await });
        (client, server, relay)
    }

    /// Requirement: a side that has finished sending can still receive; the relay ends when both have finished, and has counted every byte.
    #[test]
    fn a_half_close_is_passed_on() {
        talk(async {
            let (mut client, mut server, relay) = relayed().await;
            client.write_all(b"request").await.expect("written");
            client.shutdown().await.expect("half closed");
            let mut said = String::new();
            server.read_to_string(&mut said).await.expect("the client's end arrives");
            assert_eq!(said, "request");
            server.write_all(b"late answer").await.expect("written");
            drop(server);
            let mut said = String::new();
            client.read_to_string(&mut said).await.expect("answer");
            assert_eq!(said, "late answer");
            let carried = relay.await.expect("relay");
            assert_eq!((carried.up, carried.down), (7, 11));
            assert!(matches!(carried.end, End::Complete));
        });
    }

    /// Requirement: a reset on one side is a reset on the other, not a clean end, and the relay says whose fault it was.
    #[test]
    fn a_reset_is_passed_on() {
        talk(async {
            let (mut client, mut server, relay) = relayed().await;
            server.write_all(b"part").await.expect("written");
            let mut part = [0; 4];
            client.read_exact(&mut part).await.expect("part");
            Io::new(server).abort();
            let error = client.read(&mut part).await.expect_err("no clean end");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            assert!(matches!(relay.await.expect("relay").end, End::ServerBroke(_)));
        });
    }

    /// A client and a server with two proxies between them that speak mTLS with each other.
    async fn meshed() -> (TcpStream, TcpStream, [JoinHandle<Carried>; 2]) {
        let ((client, near), (far, server), (dialled, accepted)) = (sockets().await, sockets().await, secured(sockets().await).await);
        let outbound = tokio::task::spawn_local(async move { run(Io::new(near), dialled).await });
        let inbound = tokio::task::spawn_local(async move { run(accepted, Io::new(far)).await });
        (client, server, [outbound, inbound])
    }

    async fn is_reset(mut side: TcpStream) {
        let error = side.read(&mut [0; 16]).await.expect_err("no clean end");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    /// Requirement: through two proxies and mTLS each side's half-close reaches the other, which goes on sending.
    #[test]
    fn a_half_close_passes_two_proxies() {
        talk(async {
            for server_first in [false, true] {
                let (client, server, relays) = meshed().await;
                let (mut first, mut second) = if server_first { (server, client) } else { (client, server) };
                first.write_all(b"all I say").await.expect("written");
                first.shutdown().await.expect("half closed");
                let mut said = String::new();
                second.read_to_string(&mut said).await.expect("the end arrives as an end");
                assert_eq!(said, "all I say");
                second.write_all(b"heard").await.expect("written");
                drop(second);
                let mut said = String::new();
                first.read_to_string(&mut said).await.expect("the answer, to its end");
                assert_eq!(said, "heard");
                for relay in relays {
                    assert!(matches!(relay.await.expect("relay").end, End::Complete));
                }
            }
        });
    }

    /// Requirement: through two proxies and mTLS a reset of either side is a reset of the other.
    #[test]
    fn a_reset_passes_two_proxies() {
        talk(async {
            for of_server in [false, true] {
                let (mut client, mut server, relays) = meshed().await;
                client.write_all(b"?").await.expect("written");
                server.read_exact(&mut [0]).await.expect("arrived");
                let (breaking, other) = if of_server { (server, client) } else { (client, server) };
                Io::new(breaking).abort();
                is_reset(other).await;
                for relay in relays {
                    assert_eq!(matches!(relay.await.expect("relay").end, End::ServerBroke(_)), of_server);
                }
            }
        });
    }

    /// Requirement: mTLS that ends without its own word of the end (a proxy that died, bytes cut off on the way) is a reset for the
    /// application, not an end of its stream.
    #[test]
    fn a_lost_end_of_tls_is_a_reset() {
        talk(async {
            let ((far, server), (dialled, accepted)) = (sockets().await, secured(sockets().await).await);
            let relay = tokio::task::spawn_local(async move { run(accepted, Io::new(far)).await });
            // Closes TCP in order, without close_notify.
            drop(dialled);
            is_reset(server).await;
            assert!(matches!(relay.await.expect("relay").end, End::ClientBroke(_)));
        });
    }

    /// Requirement: a relay that is given up (its permission was taken back) ends both sides with a reset.
    #[test]
    fn a_relay_that_is_dropped_resets_both() {
        talk(async {
            let (mut client, mut server, relay) = relayed().await;
            client.write_all(b"?").await.expect("written");
            server.read_exact(&mut [0]).await.expect("arrived");
            relay.abort();
            is_reset(client).await;
            is_reset(server).await;
        });
    }

    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Requirement: a direction that has more to pass on than is its turn lets the other one go first, and goes on by itself.
    #[test]
    fn each_direction_has_its_turn() {
        talk(async {
            let ((mut client, near), (far, _server)) = (sockets().await, sockets().await);
            // Both fit in the sockets' room; of buffers that double from one byte so many pieces are a part of it.
            let (sent, turn) = (100_000, (1 << TURN) - 1);
            client.write_all(&vec![1; sent]).await.expect("written");
            while near.peek(&mut vec![0; sent]).await.expect("arrives") < sent {}
            let (mut near, mut far) = (Io::new(near), Io::new(far));
            let mut half = Half { size: 1, ..Half::new() };
            let woken = Arc::new(Woken(AtomicBool::new(false)));
            assert!(half.poll(&mut Context::from_waker(&woken.clone().into()), &mut near, &mut far).is_pending());
            assert!(woken.0.load(Ordering::Relaxed) && half.total <= turn, "{} of {sent} bytes in one turn", half.total);
        });
    }

    /// Requirement: large transfers arrive whole both ways at once.
    #[test]
    fn large_transfers_arrive_whole() {
        const TOTAL: usize = 8 << 20;
        talk(async {
            let (client, server, relay) = relayed().await;
            let sides = [client, server].map(|stream| {
                tokio::task::spawn_local(async move {
                    let (mut reading, mut writing) = stream.into_split();
                    let send = async move {
                        writing.write_all(&vec![1; TOTAL]).await.expect("written");
                        writing.shutdown().await.expect("end");
                    };
                    let mut all = Vec::new();
                    let (read, ()) = tokio::join!(reading.read_to_end(&mut all), send);
                    read.expect("read")
                })
            });
            for side in sides {
                assert_eq!(side.await.expect("side"), TOTAL);
            }
            let carried = relay.await.expect("relay");
            assert_eq!((carried.up, carried.down), (TOTAL as u64, TOTAL as u64));
        });
    }
}
