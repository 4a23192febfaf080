//! The discover stage: what the control plane says of an original destination, asked once and then watched.
//!
//! A destination that is known already costs a look into the worker's cache. One that is not waits for the first answer, with a limit: a
//! connection whose destination cannot be learned is refused, not sent on in plaintext, because it may be one that must be mutual TLS.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};

use crate::control::view::Discovery;
use crate::live::Live;
use crate::worker::Worker;

/// As long as Linkerd's policy client waits before it gives up.
const PATIENCE: Duration = Duration::from_secs(10);

type Known = Rc<Live<Option<Arc<Discovery>>>>;

/// The handle on what is known of `original`; something is known when it is returned.
pub(crate) async fn run(original: SocketAddr, worker: &Worker) -> Result<Known, Refusal> {
    let listeners = worker.settings.outbound_listeners();
    if original.ip().is_loopback() && listeners.iter().any(|listener| listener.port() == original.port()) {
        let reason = "a connection to the proxy's own outbound port was not redirected there";
        return Err(Refusal::new(Stage::Discover, Blame::Client, Retry::Safe, Cause::NoRoute, reason));
    }
    known(worker.destination(original), &original).await
}

/// The handle on what is known of a destination that a request names. A name of nothing is no destination.
pub(crate) async fn named(name: &str, worker: &Worker) -> Result<Known, Refusal> {
    let destination = known(worker.named(&name.into()), &name).await?;
    if matches!(destination.load().as_deref(), None | Some(Discovery::Unknown)) {
        let reason = format!("the mesh has no destination named {name}");
        return Err(Refusal::new(Stage::Discover, Blame::Client, Retry::Safe, Cause::NoRoute, reason));
    }
    Ok(destination)
}

async fn known(destination: Known, what: &impl fmt::Display) -> Result<Known, Refusal> {
    let answer = async {
        loop {
            let changed = destination.changed();
            if destination.load().is_some() {
                return;
            }
            changed.await;
        }
    };
    let answered = tokio::time::timeout(PATIENCE, answer).await;
    if answered.is_err() {
        let reason = format!("the control plane has not said what {what} is within {PATIENCE:?}");
        return Err(Refusal::new(Stage::Discover, Blame::Proxy, Retry::Safe, Cause::FailFast, reason));
    }
    Ok(destination)
}
