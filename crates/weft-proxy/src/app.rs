//! All wiring: which threads there are, what each owns, how they start and stop.
//!
//! One admin thread (certificate, control streams, metrics, signals) and N workers, each with its own listeners, runtime and connections.
//! Nothing here touches a request.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use weft_core::outcome::Refusal;
use weft_core::renewal::Pace;

use crate::accept::{self, Accepted, Listening};
use crate::account::{Accounts, Direction, access};
use crate::admin::{self, Admin, LogLevel};
use crate::control::backoff::Backoff;
use crate::control::channels::Channels;
use crate::control::connect::{Proof, Target, channel, open_early};
use crate::control::default_inbound::DefaultInbound;
use crate::control::place::Place;
use crate::control::stream::Patience;
use crate::control::view::{Asked, Driver, Limits, View};
use crate::drain::Drain;
use crate::identity::anchors::{self, Anchors};
use crate::identity::{self, Renewal};
use crate::metrics::{Format, Registry};
use crate::process::Process;
use crate::ready::Readiness;
use crate::settings::Settings;
use crate::socket::Options;
use crate::tls::{Absence, Certified, Mesh, Standing};
use crate::worker::Worker;
use crate::{clock, inbound, outbound, residence, settings, socket};

/// Scrapers and probes are few.
const ADMIN_BACKLOG: i32 = 128;
/// The most that is kept back: beyond that many, idle connections are a waste.
const KEPT_DESCRIPTORS: usize = 1_000;
/// Destinations, endpoint sets and ports known at a time, each.
const KEYS: usize = 16_384;

/// Runs the proxy until it is told to stop and its connections are done. Errors are those of the start.
pub(crate) fn run(settings: Settings, environment: Vec<(String, String)>, log_level: Box<dyn LogLevel>) -> Result<(), String> {
    let settings = Arc::new(settings);
    let limit = connections(descriptors(), settings.cores);
    let unusable = |addr, error| format!("{addr} cannot be listened on: {error}");
    for addr in [settings.inbound_listen, settings.admin_listen] {
        socket::probe(addr).map_err(|error| unusable(addr, error))?;
    }
    let outbound = socket::probe_any(settings.outbound_listeners().iter().copied()).map_err(|(addr, error)| unusable(addr, error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("no runtime: {e}"))?;
    runtime.block_on(LocalSet::new().run_until(async move {
        let (stop, stopping) = watch::channel(false);
        let readiness = Readiness::default();
        let registry = Registry::new(settings.metrics_retain_idle);
        let identity = Identity::new(&settings)?;
        let (view, driver) = view(&settings, &identity.certified);
        let mesh = publish_mesh(identity.certified.clone(), settings.tls_resumption, readiness.clone());
        let listening = readiness.awaits("listeners");
        let mut access = AccessLog::start(settings.access_log)?;
        let mut workers = Vec::new();
        let from_elsewhere = Options {
            keepalive: Some(settings.inbound_accept_keepalive),
            user_timeout: Some(settings.inbound_accept_user_timeout),
            ..Options::default()
        };
        let from_here = Options {
            keepalive: settings.outbound_accept_keepalive,
            user_timeout: settings.outbound_accept_user_timeout,
            application: true,
            ..Options::default()
        };
        for number in 0..settings.cores.max(1) {
            let parts = Parts {
                settings: settings.clone(),
                view: view.clone(),
                mesh: mesh.clone(),
                registry: registry.clone(),
                stopping: stopping.clone(),
                inbound: listen(settings.inbound_listen, settings.inbound_backlog, &from_elsewhere)?,
                outbound: outbound
                    .iter()
                    .map(|addr| listen(*addr, settings.outbound_backlog, &from_here))
                    .collect::<Result<_, String>>()?,
                limit,
                access: access.lines(),
            };
            let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || worker(parts));
            workers.push(thread.map_err(|error| format!("no thread for worker {number}: {error}"))?);
        }
        listening.up();
        let (asked_to_stop, shutdown) = mpsc::channel(1);
        let admin = Admin {
            readiness: readiness.clone(),
            metrics: metrics(registry, view.clone(), identity.status.clone()),
            identity: identity.shown(),
            environment,
            log_level,
            shutdown: settings.shutdown_endpoint.then_some(asked_to_stop),
        };
        let listener = socket::register(listen(settings.admin_listen, ADMIN_BACKLOG, &Options::default())?)
            .map_err(|error| format!("the admin port: {error}"))?;
        tokio::task::spawn_local(admin::serve(listener, Arc::new(admin)));
        identity.start(&settings);
        tokio::task::spawn_local(driver.run());
        for port in &settings.inbound_ports {
            // Its policy is there before its first connection.
            drop(view.inbound(*port));
        }
        tracing::info!(inbound = %settings.inbound_listen, outbound = ?outbound, identity = %settings.identity_local_name, "started");
        let mut told = Told::new(shutdown)?;
        told.first(&workers).await?;
        let _stopping = readiness.awaits("stopping");
        tracing::info!(grace = ?settings.shutdown_grace_period, "stopping: open connections may finish");
        stop.send_replace(true);
        let cut = tokio::select! {
            () = finished(workers) => None,
            () = tokio::time::sleep(settings.shutdown_grace_period) => Some("the grace period is over"),
            () = told.again() => Some("told to stop a second time"),
        };
        match cut {
            None => access.finish().await,
            Some(why) => {
                tracing::warn!(why, "open connections are cut off");
                // A plain close would look like the end of what was being sent.
                socket::reset_all();
            }
        }
        Ok(())
    }))
}

/// What a worker is started with.
struct Parts {
    settings: Arc<Settings>,
    view: View,
    mesh: watch::Receiver<Standing>,
    registry: Registry,
    stopping: watch::Receiver<bool>,
    inbound: TcpListener,
    outbound: Vec<TcpListener>,
    limit: usize,
    access: Option<(settings::AccessLog, SyncSender<String>)>,
}

fn worker(parts: Parts) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_unpark(clock::passed)
        .build()
        .map_err(|e| format!("no runtime: {e}"))?;
    runtime.block_on(LocalSet::new().run_until(async move {
        let Parts { settings, view, mesh, registry, stopping, inbound, outbound, limit, access } = parts;
        let drain = Drain::new(stopping);
        let mut accounts = Accounts::new(&registry, clock::lately);
        if let Some((format, lines)) = access {
            accounts = accounts.with_access_log(format, lines, clock::wall);
        }
        let worker = Rc::new(Worker::new(settings.clone(), view, mesh, accounts, drain.clone(), random()));
        accepting(inbound, Direction::Inbound, limit, &worker, inbound::serve)?;
        for listener in outbound {
            accepting(listener, Direction::Outbound, limit, &worker, outbound::serve)?;
        }
        let sweeping = worker.clone();
        tokio::task::spawn_local(async move { sweeping.sweep().await });
        drain.finished().await;
        Ok(())
    }))
}

/// Accepts connections of one direction. What the application sends out is taken also while the process stops: finishing its work may need
/// others.
fn accepting<F: Future<Output = Result<(), Refusal>> + 'static>(
    listener: TcpListener,
    direction: Direction,
    limit: usize,
    worker: &Rc<Worker>,
    serve: fn(Accepted, Rc<Worker>) -> F,
) -> Result<(), String> {
    let failed = |error| format!("the {} port: {error}", direction.name());
    let at = listener.local_addr().map_err(failed)?;
    let listener = socket::register(listener).map_err(failed)?;
    let listening = match direction {
        Direction::Inbound => Listening::UntilStopping,
        Direction::Outbound => Listening::Always,
    };
    let (to, full) = (worker.clone(), worker.clone());
    let serve = move |accepted: Accepted| {
        let worker = to.clone();
        async move {
            let (peer, original) = (accepted.peer, accepted.original);
            if let Err(refusal) = serve(accepted, worker.clone()).await {
                worker.accounts.stream_refused(direction, peer, original, &refusal);
            }
        }
    };
    let closed = move |peer, refusal: &_| full.accounts.stream_refused(direction, peer, at, refusal);
    tokio::task::spawn_local(accept::run(listener, listening, limit, worker.drain.clone(), serve, closed));
    Ok(())
}

/// The access log's queue and the thread that writes it; neither where there is no log.
struct AccessLog(Option<(settings::AccessLog, SyncSender<String>, JoinHandle<()>)>);

impl AccessLog {
    fn start(format: Option<settings::AccessLog>) -> Result<Self, String> {
        let Some(format) = format else { return Ok(AccessLog(None)) };
        let (lines, thread) = access::start().map_err(|error| format!("no thread for the access log: {error}"))?;
        Ok(AccessLog(Some((format, lines, thread))))
    }

    fn lines(&self) -> Option<(settings::AccessLog, SyncSender<String>)> {
        self.0.as_ref().map(|(format, lines, _)| (*format, lines.clone()))
    }

    /// Waits a moment for everything to be written. No worker may hold its end any more.
    async fn finish(&mut self) {
        let Some((_, lines, thread)) = self.0.take() else { return };
        drop(lines);
        // Nobody may be reading standard error.
        let _ = tokio::time::timeout(Duration::from_secs(1), finished(vec![thread])).await;
    }
}

/// The certificate's renewal, not yet running.
struct Identity {
    name: String,
    renewal: Renewal,
    anchors: watch::Receiver<Arc<Anchors>>,
    watched: Option<anchors::Watched>,
    status: Arc<identity::Status>,
    /// The certificate in force; none before the first.
    certified: watch::Receiver<Option<Arc<Certified>>>,
}

impl Identity {
    fn new(settings: &Settings) -> Result<Self, String> {
        let (anchors, watched) = match (&settings.identity_trust_anchors_file, &settings.identity_trust_anchors) {
            (Some(file), _) => {
                let (anchors, watched) = anchors::watched(file).map_err(|why| format!("trust anchors in {}: {why}", file.display()))?;
                (anchors, Some(watched))
            }
            (None, Some(pem)) => (anchors::fixed(pem).map_err(|why| format!("trust anchors: {why}"))?, None),
            (None, None) => return Err("no trust anchors are set".to_owned()),
        };
        let config = identity::Config {
            local_name: settings.identity_local_name.as_str().to_owned(),
            token_file: settings.identity_token_file.clone(),
            pace: Pace { min: settings.identity_min_refresh, max: settings.identity_max_refresh },
            backoff: Backoff::CONTROL,
            chance,
            now: clock::wall,
        };
        let (renewal, identity::Seen { certified, status }) = Renewal::new(config, anchors.clone())?;
        Ok(Identity { name: settings.identity_local_name.to_string(), renewal, anchors, watched, status, certified })
    }

    /// What the admin port shows of it.
    fn shown(&self) -> Box<dyn Fn() -> serde_json::Value + Send + Sync> {
        let (certified, anchors, status, name) = (self.certified.clone(), self.anchors.clone(), self.status.clone(), self.name.clone());
        Box::new(move || identity::shown(&name, certified.borrow().as_deref(), &anchors.borrow(), &status))
    }

    fn start(self, settings: &Settings) {
        let target = Target { place: settings.identity_addr.clone(), name: settings.identity_name.clone(), mark: settings.mark };
        tokio::task::spawn_local(self.renewal.run(channel(target, Proof::Anonymous(self.anchors))));
        if let Some(watched) = self.watched {
            tokio::task::spawn_local(watched.run(anchors::POLL));
        }
    }
}

fn view(settings: &Settings, certified: &watch::Receiver<Option<Arc<Certified>>>) -> (View, Driver) {
    let to = |place: &Place, name: &Option<_>| {
        let target = Target { place: place.clone(), name: name.clone(), mark: settings.mark };
        let proof = Proof::Certified(certified.clone());
        Channels::new(move || channel(target.clone(), proof.clone()))
    };
    let (destination, policy) =
        (to(&settings.destination_addr, &settings.destination_name), to(&settings.policy_addr, &settings.policy_name));
    let opening = [&destination, &policy].map(|channels| open_early(channels.place().channel(), certified.clone()));
    tokio::task::spawn_local(async move {
        join_all(opening).await;
        // The start is over.
        residence::let_files_go();
    });
    let asked = Asked {
        destination,
        policy,
        workload: settings.policy_workload.clone(),
        context: settings.destination_context.clone(),
        patience: Patience {
            initial: settings.control_initial_timeout,
            idle: settings.control_idle_timeout,
            lifetime: settings.control_lifetime,
            backoff: Backoff::CONTROL,
            chance,
        },
    };
    let limits = Limits { keys: KEYS, outbound_idle: settings.outbound_discovery_idle, inbound_idle: settings.inbound_discovery_idle };
    View::new(asked, DefaultInbound::new(settings), limits)
}

/// Makes the TLS configurations anew whenever the certificate or the anchors change. Without any the proxy is not ready.
fn publish_mesh(mut certified: watch::Receiver<Option<Arc<Certified>>>, resumes: bool, readiness: Readiness) -> watch::Receiver<Standing> {
    let (publish, mesh) = watch::channel(Err(Absence::NotYet));
    let mut awaited = Some(readiness.awaits("identity"));
    tokio::task::spawn_local(async move {
        loop {
            let current = certified.borrow_and_update().clone();
            match current.map(|certified| Mesh::new(certified, resumes)).transpose() {
                Ok(Some(mesh)) => {
                    if let Some(awaited) = awaited.take() {
                        awaited.up();
                    }
                    drop(publish.send_replace(Ok(Arc::new(mesh))));
                }
                Ok(None) if publish.borrow().is_ok() => {
                    awaited = Some(readiness.awaits("identity"));
                    drop(publish.send_replace(Err(Absence::Ended)));
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "the new certificate cannot be used; the last one stays in force"),
            }
            if certified.changed().await.is_err() {
                return;
            }
        }
    });
    mesh
}

fn metrics(registry: Registry, view: View, identity: Arc<identity::Status>) -> Box<dyn Fn(Format) -> String + Send + Sync> {
    let process = Process::new(clock::wall());
    registry.collect(move |samples| {
        process.sample(samples);
        view.sample(samples);
        identity.sample(samples);
    });
    Box::new(move |format| registry.render(format, clock::now()))
}

/// By whom the process is told to stop.
struct Told {
    terminate: Signal,
    interrupt: Signal,
    shutdown: mpsc::Receiver<()>,
}

impl Told {
    fn new(shutdown: mpsc::Receiver<()>) -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("signals: {error}"));
        Ok(Told { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())?, shutdown })
    }

    /// Resolves when the process is told to stop; errors when a worker ended by itself.
    async fn first(&mut self, workers: &[JoinHandle<Result<(), String>>]) -> Result<(), String> {
        let mut look = tokio::time::interval(Duration::from_millis(500));
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Ok(()),
                _ = self.interrupt.recv() => return Ok(()),
                Some(()) = self.shutdown.recv() => return Ok(()),
                // A dead worker's listeners would leave a part of all connections unanswered: better to end and be restarted.
                _ = look.tick() => if workers.iter().any(JoinHandle::is_finished) {
                    return Err("a worker ended by itself".to_owned());
                }
            }
        }
    }

    /// Resolves when a signal says so once more. The admin port does not: asked twice, it was asked once.
    async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn finished<T>(workers: Vec<JoinHandle<T>>) {
    while !workers.iter().all(JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn listen(addr: SocketAddr, backlog: i32, options: &Options) -> Result<TcpListener, String> {
    socket::listen(addr, true, backlog, options).map_err(|error| format!("{addr} cannot be listened on: {error}"))
}

/// How many connections each worker may have open. One that is carried takes a descriptor on either side; a tenth of them is kept for idle
/// connections to servers, the control streams and scrapes.
fn connections(descriptors: usize, workers: usize) -> usize {
    let kept = descriptors.div_ceil(10).min(KEPT_DESCRIPTORS);
    ((descriptors - kept) / 2 / workers.max(1)).max(1)
}

/// As many descriptors as the system gives.
fn descriptors() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    let wanted = hard.min(1 << 20);
    let raised = soft >= wanted || setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok();
    if raised { wanted as usize } else { soft as usize }
}

/// Randomness for choices that need no secrecy, from the standard library's hash keys.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn chance() -> f64 {
    (random() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement: 20,000 descriptors carry 9,000 connections, few descriptors keep a part back too, and there is always room for one.
    #[test]
    fn connections_take_two_descriptors_each() {
        assert_eq!(connections(20_000, 1), 9_500);
        assert_eq!(connections(20_000, 2), 4_750);
        assert_eq!(connections(1_024, 1), 460);
        assert_eq!(connections(1, 4), 1);
    }
}
