//! How this proxy gets its certificate, and a new one before it ends.
//!
//! The key is made in this process and never leaves it. Its certificate is requested with the workload's token, checked as a peer
//! would check it, published, and renewed when weft-core says so, or soon after the trust anchors changed. While the identity service
//! is away the last good certificate stays in force to its end. It never decides who may talk to whom.

pub(crate) mod anchors;
mod certificate;
mod key;
mod shown;
mod status;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls_pki_types::ServerName;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tonic::Status as GrpcStatus;
use tonic::transport::Channel;
use weft_core::renewal::Pace;

use self::anchors::Anchors;
use self::certificate::Leaf;
use self::key::Key;
pub(crate) use self::shown::shown;
pub(crate) use self::status::{FAMILIES, Status};
use crate::control::backoff::{Backoff, Chance};
use crate::r#gen::identity::identity_client::IdentityClient;
use crate::r#gen::identity::{CertifyRequest, CertifyResponse};
use crate::tls::Certified;

/// A token is a few kilobytes; more is some other file.
const TOKEN_LIMIT: usize = 64 << 10;
/// How long one request for a certificate may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Sleeps are cut into pieces, so that a machine that was suspended notices a clock that went on.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(15);
/// After a change of the anchors all proxies renew; this spreads them.
const SPREAD: Duration = Duration::from_secs(2);

/// What renewal is told.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) local_name: String,
    pub(crate) token_file: PathBuf,
    pub(crate) pace: Pace,
    pub(crate) backoff: Backoff,
    pub(crate) chance: Chance,
    pub(crate) now: fn() -> SystemTime,
}

/// Keeps one certificate valid: run it on the admin thread.
pub(crate) struct Renewal {
    config: Config,
    name: ServerName<'static>,
    key: Key,
    anchors: watch::Receiver<Arc<Anchors>>,
    publish: watch::Sender<Option<Arc<Certified>>>,
    status: Arc<Status>,
}

/// What the rest of the proxy sees of it.
pub(crate) struct Seen {
    /// `None` until the first certificate, and again if the last one ends unrenewed.
    pub(crate) certified: watch::Receiver<Option<Arc<Certified>>>,
    pub(crate) status: Arc<Status>,
}

impl Renewal {
    /// Makes the key; errors say why there can be none.
    pub(crate) fn new(config: Config, anchors: watch::Receiver<Arc<Anchors>>) -> Result<(Renewal, Seen), String> {
        let name = ServerName::try_from(config.local_name.clone()).map_err(|error| format!("{}: {error}", config.local_name))?;
        let key = Key::generate(&config.local_name).map_err(|error| format!("no key can be made: {error}"))?;
        let (publish, certified) = watch::channel(None);
        let status = Arc::new(Status::default());
        let seen = Seen { certified, status: status.clone() };
        Ok((Renewal { config, name, key, anchors, publish, status }, seen))
    }

    /// Asks the identity service behind `channel`, for ever.
    pub(crate) async fn run(self, channel: Channel) {
        let client = IdentityClient::new(channel);
        self.run_with(move |request| {
            let mut client = client.clone();
            async move { Ok(client.certify(request).await?.into_inner()) }
        })
        .await;
    }

    async fn run_with<F>(mut self, certify: impl Fn(CertifyRequest) -> F)
    where
        F: Future<Output = Result<CertifyResponse, GrpcStatus>>,
    {
        let mut failures = 0u32;
        let mut leaf: Option<Leaf> = None;
        loop {
            let pause = match self.obtain(&certify).await {
                Ok(new) => {
                    failures = 0;
                    self.status.refreshed(new.held);
                    tracing::debug!(identity = self.config.local_name, next = ?new.held.due_in(self.config.pace, new.held.obtained), "certified");
                    leaf = Some(new);
                    self.publish(&leaf);
                    Pause::UntilDue
                }
                Err(why) => {
                    failures = failures.saturating_add(1);
                    self.status.failed();
                    let pause = self.config.backoff.pause(failures, (self.config.chance)());
                    let ends_in = leaf.as_ref().map(|leaf| tracing::field::debug(leaf.held.ends_in((self.config.now)())));
                    tracing::warn!(identity = self.config.local_name, %why, again = ?pause, ends_in, "not certified");
                    Pause::For(pause)
                }
            };
            self.wait(pause, &mut leaf).await;
        }
    }

    /// One request, from token to verified certificate.
    async fn obtain<F>(&self, certify: &impl Fn(CertifyRequest) -> F) -> Result<Leaf, String>
    where
        F: Future<Output = Result<CertifyResponse, GrpcStatus>>,
    {
        let path = self.config.token_file.display();
        let token = std::fs::read(&self.config.token_file).map_err(|error| format!("the token {path}: {error}"))?;
        let token = token.trim_ascii().to_vec();
        if token.is_empty() || token.len() > TOKEN_LIMIT {
            return Err(format!("the token {path} has {} bytes", token.len()));
        }
        let request =
            CertifyRequest { identity: self.config.local_name.clone(), token, certificate_signing_request: self.key.request().to_vec() };
        let response = match timeout(REQUEST_TIMEOUT, certify(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(status)) => return Err(format!("the identity service: {:?} {}", status.code(), status.message())),
            Err(_) => return Err("the identity service did not answer in time".into()),
        };
        let now = (self.config.now)();
        let leaf = Leaf::read(response, self.key.signing(), now)?;
        leaf.verify(&self.name, &self.anchors.borrow().roots, now)?;
        Ok(leaf)
    }

    /// Waits for the next request; meanwhile new anchors are published, and the end of the certificate is heeded.
    async fn wait(&mut self, mut pause: Pause, leaf: &mut Option<Leaf>) {
        loop {
            let now = (self.config.now)();
            if leaf.as_ref().is_some_and(|leaf| leaf.held.ends_in(now).is_zero()) {
                tracing::error!(identity = self.config.local_name, "the certificate has ended and could not be renewed");
                *leaf = None;
                self.publish(leaf);
            }
            let left = match (&pause, &leaf) {
                (Pause::For(left), _) => *left,
                (Pause::UntilDue, Some(leaf)) => leaf.held.due_in(self.config.pace, now),
                (Pause::UntilDue, None) => Duration::ZERO,
            };
            if left.is_zero() {
                return;
            }
            let end = leaf.as_ref().map_or(LOOK_AT_CLOCK, |leaf| leaf.held.ends_in(now));
            let step = left.min(LOOK_AT_CLOCK).min(end);
            tokio::select! {
                () = sleep(step) => pause = pause.after(step),
                Ok(()) = self.anchors.changed() => {
                    self.publish(leaf);
                    pause = self.after_new_anchors(left, leaf.as_ref(), now);
                }
            }
        }
    }

    /// Peers with the same new anchors may refuse the certificate: get another one now. If they do not, get one soon: who changes
    /// what is trusted wants the certificates to follow.
    fn after_new_anchors(&self, left: Duration, leaf: Option<&Leaf>, now: SystemTime) -> Pause {
        let Some(leaf) = leaf else { return Pause::For(left) };
        match leaf.verify(&self.name, &self.anchors.borrow().roots, now) {
            Ok(()) => Pause::For(left.min(SPREAD.mul_f64((self.config.chance)()))),
            Err(_) => Pause::For(Duration::ZERO),
        }
    }

    fn publish(&mut self, leaf: &Option<Leaf>) {
        let anchors = self.anchors.borrow_and_update().clone();
        let certified = leaf.as_ref().map(|leaf| {
            Arc::new(Certified { chain: leaf.chain.clone(), key: self.key.signing().clone(), anchors, not_after: leaf.held.not_after })
        });
        self.publish.send_replace(certified);
    }
}

/// Until when nothing is asked for.
#[derive(Clone, Copy, Debug)]
enum Pause {
    /// By the clock on the wall, which may be set meanwhile.
    UntilDue,
    For(Duration),
}

impl Pause {
    fn after(self, passed: Duration) -> Self {
        match self {
            Pause::UntilDue => Pause::UntilDue,
            Pause::For(left) => Pause::For(left.saturating_sub(passed)),
        }
    }
}

#[cfg(test)]
mod tests;
