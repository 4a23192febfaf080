//! The accept stage: takes connections off a worker's own listener and asks the kernel where they were meant to go.
//!
//! Never looks at a byte. A connection over the limit is closed at once and counted, so that descriptors cannot run out.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
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

/// Accepts for as long as the worker lives. `serve` handles one connection; its future runs as a task of this worker.
/// `full` is told of each connection that is closed because `limit` are open.
pub(crate) async fn run<F>(
    listener: TcpListener,
    options: socket::Options,
    limit: usize,
    drain: Rc<Drain>,
    serve: impl Fn(Accepted) -> F,
    full: impl Fn(SocketAddr, &Refusal),
) where
    F: Future<Output = ()> + 'static,
{
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(error).await;
                continue;
            }
        };
        let Some(open) = drain.open(limit) else {
            let reason = format!("{limit} connections are open in this worker already");
            full(peer, &Refusal::new(Stage::Accept, Blame::Proxy, Retry::Safe, Cause::LoadShed, reason));
            continue;
        };
        match arrive(stream, peer, &options) {
            Ok(accepted) => {
                let serving = serve(accepted);
                tokio::task::spawn_local(async move {
                    serving.await;
                    drop(open);
                });
            }
            // The client went away between the kernel's accept and ours.
            Err(error) => debug!(%peer, %error, "connection lost before it was served"),
        }
    }
}

fn arrive(stream: TcpStream, peer: SocketAddr, options: &socket::Options) -> io::Result<Accepted> {
    socket::prepare(&stream, options)?;
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
