//! The discover stage: what the control plane says of an original destination, asked once and then watched.
//!
//! A destination that is known already costs a look into the worker's cache. One that is not waits for the first answer, with a limit: a
//! connection whose destination cannot be learned is refused, not sent on in plaintext, because it may be one that must be mutual TLS.

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

/// The handle on what is known of `original`; something is known when it is returned.
pub(crate) async fn run(original: SocketAddr, worker: &Worker) -> Result<Rc<Live<Option<Arc<Discovery>>>>, Refusal> {
    if original.ip().is_loopback() && worker.settings.outbound_listeners().iter().any(|addr| addr.port() == original.port()) {
        let reason = "a connection to the proxy's own outbound port was not redirected there";
        return Err(Refusal::new(Stage::Discover, Blame::Client, Retry::Safe, Cause::NoRoute, reason));
    }
    let destination = worker.destination(original);
    let known = async {
        loop {
            let changed = destination.changed();
            if destination.load().is_some() {
                return;
            }
            changed.await;
        }
    };
    let answered = tokio::time::timeout(PATIENCE, known).await;
    if answered.is_err() {
        let reason = format!("the control plane has not said what {original} is within {PATIENCE:?}");
        return Err(Refusal::new(Stage::Discover, Blame::Proxy, Retry::Safe, Cause::FailFast, reason));
    }
    Ok(destination)
}
