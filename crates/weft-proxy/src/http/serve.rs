//! Serves one client connection: every request on it becomes one call of a handler.
//!
//! The same for both sides of the proxy and both versions. It brings a connection to rest when the process stops, and knows nothing of
//! where requests go.

use std::pin::{Pin, pin};

use futures_util::FutureExt;
use futures_util::future::Either;
use tokio::sync::watch;
use weft_core::http1::Limits;
use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};

use super::h2::Tuning;
use super::{Broken, Message, Version, h1, h2};
use crate::io::Io;

/// Calls `handle` for every request until the client closes, the connection fails, or `stopping` turns true and what is under way ended.
///
/// No `async fn`, which would hold the stream, and with it room in every idle connection, beside what the stream has become.
pub(crate) fn run<F>(
    io: Io,
    version: Version,
    tuning: Tuning,
    stopping: watch::Receiver<bool>,
    handle: impl Fn(Box<Message>) -> F,
) -> impl Future<Output = Result<(), Refusal>>
where
    F: Future<Output = ()> + 'static,
{
    match version {
        Version::H1 => {
            Either::Left(http1(h1::server::Server::new(io, Limits::default(), h1::server::Timeouts::default()), stopping, handle))
        }
        // Twice the size of the other, which many idle connections would hold for nothing.
        Version::H2 => {
            Either::Right(in_place(|| h2::server::serve(io, tuning, stopping, handle)).map(|served| served.map_err(|why| broken(&why))))
        }
    }
}

async fn http1<F>(
    mut server: h1::server::Server,
    stopping: watch::Receiver<bool>,
    handle: impl Fn(Box<Message>) -> F,
) -> Result<(), Refusal>
where
    F: Future<Output = ()>,
{
    let mut stopped = pin!(async move {
        let mut stopping = stopping;
        // An error means that the process is ending.
        let _ = stopping.wait_for(|stop| *stop).await;
    });
    let (mut served, mut winding) = (false, false);
    loop {
        let next = tokio::select! {
            biased;
            next = server.next() => Some(next),
            () = &mut stopped, if !winding => None,
        };
        let next = match next {
            Some(next) => next,
            None if served && server.is_quiet() => return Ok(()),
            // A request is on its way, the first one of the connection by the bytes that showed its protocol. It is answered.
            None => {
                winding = true;
                server.wind_down();
                Box::pin(server.next()).await
            }
        };
        served = true;
        let message = match next {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(()),
            // The client has its answer already.
            Err(h1::server::Ended::Rejected(rejected)) => {
                let cause = Cause::BadRequest(rejected.status.as_u16());
                return Err(Refusal::new(Stage::Exchange, Blame::Client, Retry::Safe, cause, rejected.reason));
            }
            Err(h1::server::Ended::Broken(why)) => return Err(broken(&why)),
        };
        // On the heap while it lasts: a connection is idle for most of its life, and should not hold the room of an exchange.
        let mut handling = in_place(|| handle(message));
        tokio::select! {
            biased;
            () = &mut handling => {}
            () = &mut stopped, if !winding => {
                server.wind_down();
                handling.await;
                // Closes so that what the client still sends does not reset the answer on its way.
                let _ = Box::pin(server.next()).await;
                return Ok(());
            }
        }
    }
}

/// As `Box::pin`, but the future is made where it stays. Made before there is room for it, all of it would be copied there: it is mostly
/// room for what has not begun.
#[inline(always)]
pub(crate) fn in_place<F>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(Box::write(Box::new_uninit(), make()))
}

/// The client's connection failed.
fn broken(why: &Broken) -> Refusal {
    let cause = match why {
        Broken::Malformed { status, .. } if *status < 500 => Cause::BadRequest(*status),
        _ => Cause::ClientGone,
    };
    Refusal::new(Stage::Exchange, Blame::Client, Retry::Unsafe, cause, why.to_string())
}
