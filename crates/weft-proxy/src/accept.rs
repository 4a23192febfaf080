//! The accept stage: takes connections off a worker's own listener and asks the kernel where they were meant to go.
//!
//! Never looks at a byte. A connection over the limit is closed at once and counted, so that descriptors cannot run out.

use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;

use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};
use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};

use crate::drain::Drain;
use crate::socket;

/// A fresh connection.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    /// Where it was meant to go; the listener's own address if nothing redirected it.
    pub(crate) original: SocketAddr,
}

/// How long connections are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listening {
    /// Until the process is asked to stop; then what waits in the kernel is taken, and the listener closes.
    UntilStopping,
    /// For as long as the worker lives.
    Always,
}

/// Accepts connections. `serve` handles one connection; its future runs as a task of this worker.
/// `full` is told of each connection that is closed because `limit` are open.
pub(crate) async fn run<F>(
    listener: TcpListener,
    listening: Listening,
    limit: usize,
    drain: Rc<Drain>,
    serve: impl Fn(Accepted) -> F + 'static,
    full: impl Fn(SocketAddr, &Refusal),
) where
    F: Future<Output = ()> + 'static,
{
    let serve = Rc::new(serve);
    let take = |stream, peer| {
        let Some(open) = drain.open(limit) else {
            let reason = format!("{limit} connections are open in this worker already");
            return full(peer, &Refusal::new(Stage::Accept, Blame::Proxy, Retry::Safe, Cause::LoadShed, reason));
        };
        match arrive(stream, peer) {
            Ok(accepted) => {
                let serve = serve.clone();
                // Called within: a future that is made before has its room twice, 2.6 KB of every idle connection.
                tokio::task::spawn_local(async move {
                    serve(accepted).await;
                    drop(open);
                });
            }
            // The client went away between the kernel's accept and ours.
            Err(error) => debug!(%peer, %error, "connection lost before it was served"),
        }
    };
    let mut stopping = pin!(async {
        match listening {
            Listening::UntilStopping => drain.stopping().await,
            Listening::Always => pending().await,
        }
    });
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => take(stream, peer),
                Err(error) => pause_after(error).await,
            },
            () = &mut stopping => break,
        }
    }
    for (stream, peer) in waiting(listener) {
        take(stream, peer);
    }
}

/// The connections that the kernel has completed already: closing their listener would reset them.
fn waiting(listener: TcpListener) -> impl Iterator<Item = (TcpStream, SocketAddr)> {
    let listener = listener.into_std();
    std::iter::from_fn(move || {
        let (stream, peer) = listener.as_ref().ok()?.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, peer))
    })
}

fn arrive(stream: TcpStream, peer: SocketAddr) -> io::Result<Accepted> {
    let original = socket::original_destination(&stream)?;
    Ok(Accepted { stream, peer: socket::canonical(peer), original })
}

/// Descriptors may have run out: trying again at once would only burn the processor that is needed to close some.
async fn pause_after(error: io::Error) {
    if error.kind() != io::ErrorKind::ConnectionAborted {
        warn!(%error, "connections cannot be accepted");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
