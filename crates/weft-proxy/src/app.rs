//! All wiring: which threads there are, what each owns, how they start and stop.
//!
//! One admin thread (certificate, control streams, metrics, signals) and N workers, each with its own listeners, runtime and connections.
//! Nothing here touches a request.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustls::RootCertStore;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use weft_core::outcome::Refusal;

use crate::accept::{self, Accepted};
use crate::account::{Accounts, Direction};
use crate::admin::{self, Admin, LogLevel};
use crate::control::backoff::Backoff;
use crate::control::connect::{Proof, Target, channel};
use crate::control::default_inbound::DefaultInbound;
use crate::control::stream::Patience;
use crate::control::view::{Asked, Driver, Limits, View};
use crate::drain::Drain;
use crate::identity::{self, Renewal, anchors};
use crate::metrics::{Format, Registry};
use crate::ready::{Awaited, Readiness};
use crate::settings::Settings;
use crate::tls::{Certified, Mesh};
use crate::worker::Worker;
use crate::{clock, inbound, outbound, socket};

/// What is accepted but not yet served waits in the kernel.
const BACKLOG: i32 = 4096;
/// How long dropping what is open may take once the grace period has ended.
const DROPPING: Duration = Duration::from_secs(1);
/// Destinations, endpoint sets and ports known at a time, each.
const KEYS: usize = 16_384;

/// Runs the proxy until it is told to stop and its connections are done. Errors are those of the start.
pub(crate) fn run(settings: Settings, environment: Vec<(String, String)>, log_level: Box<dyn LogLevel>) -> Result<(), String> {
    let settings = Arc::new(settings);
    let limit = descriptors() / 3 / settings.cores.max(1);
    let unusable = |addr, error| format!("{addr} cannot be listened on: {error}");
    for addr in [settings.inbound_listen, settings.admin_listen] {
        socket::probe(addr).map_err(|error| unusable(addr, error))?;
    }
    let outbound = socket::probe_any(settings.outbound_listeners()).map_err(|(addr, error)| unusable(addr, error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("no runtime: {e}"))?;
    runtime.block_on(LocalSet::new().run_until(async move {
        let (stop, stopping) = watch::channel(false);
        let (give_up, given_up) = watch::channel(false);
        let readiness = Readiness::default();
        let registry = Registry::new(settings.metrics_retain_idle);
        let identity = Identity::new(&settings)?;
        let (view, driver) = view(&settings, &identity.certified);
        let mesh = publish_mesh(identity.certified.clone(), readiness.awaits("identity"));
        let listening = readiness.awaits("listeners");
        let mut workers = Vec::new();
        for number in 0..settings.cores.max(1) {
            let parts = Parts {
                settings: settings.clone(),
                view: view.clone(),
                mesh: mesh.clone(),
                registry: registry.clone(),
                stopping: stopping.clone(),
                given_up: given_up.clone(),
                inbound: listen(settings.inbound_listen)?,
                outbound: outbound.iter().map(|addr| listen(*addr)).collect::<Result<_, _>>()?,
                limit,
            };
            let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || worker(parts));
            workers.push(thread.map_err(|error| format!("no thread for worker {number}: {error}"))?);
        }
        listening.up();
        let (asked_to_stop, shutdown) = mpsc::channel(1);
        let admin = Admin {
            readiness,
            metrics: metrics(registry, view.clone(), identity.status.clone()),
            environment,
            log_level,
            shutdown: settings.shutdown_endpoint.then_some(asked_to_stop),
        };
        let listener = socket::register(listen(settings.admin_listen)?).map_err(|error| format!("the admin port: {error}"))?;
        tokio::task::spawn_local(admin::serve(listener, Arc::new(admin)));
        identity.start(&settings);
        tokio::task::spawn_local(driver.run());
        for port in &settings.inbound_ports {
            // Its policy is there before its first connection.
            drop(view.inbound(*port));
        }
        tracing::info!(inbound = %settings.inbound_listen, outbound = ?outbound, identity = %settings.identity_local_name, "started");
        until_told(shutdown, &workers).await?;
        tracing::info!(grace = ?settings.shutdown_grace_period, "stopping: open connections may finish");
        stop.send_replace(true);
        if tokio::time::timeout(settings.shutdown_grace_period, finished(&workers)).await.is_err() {
            tracing::warn!("connections were still open when the grace period ended");
            give_up.send_replace(true);
            // What the end of the process closes looks complete to its peer: workers drop their connections themselves.
            let _ = tokio::time::timeout(DROPPING, finished(&workers)).await;
        }
        Ok(())
    }))
}

/// What a worker is started with.
struct Parts {
    settings: Arc<Settings>,
    view: View,
    mesh: watch::Receiver<Option<Arc<Mesh>>>,
    registry: Registry,
    stopping: watch::Receiver<bool>,
    given_up: watch::Receiver<bool>,
    inbound: TcpListener,
    outbound: Vec<TcpListener>,
    limit: usize,
}

fn worker(parts: Parts) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("no runtime: {e}"))?;
    runtime.block_on(LocalSet::new().run_until(async move {
        let Parts { settings, view, mesh, registry, stopping, mut given_up, inbound, outbound, limit } = parts;
        let drain = Drain::new(stopping);
        let accounts = Accounts::new(&registry, clock::now);
        let worker = Rc::new(Worker::new(settings.clone(), view, mesh, accounts, drain.clone(), random()));
        let accepted = socket::Options {
            mark: None,
            keepalive: Some(settings.inbound_accept_keepalive),
            user_timeout: Some(settings.inbound_accept_user_timeout),
        };
        accepting(inbound, Direction::Inbound, accepted, limit, &worker, inbound::serve)?;
        for listener in outbound {
            accepting(listener, Direction::Outbound, socket::Options::default(), limit, &worker, outbound::serve)?;
        }
        let sweeping = worker.clone();
        tokio::task::spawn_local(async move { sweeping.sweep().await });
        tokio::select! {
            () = drain.finished() => {}
            _ = given_up.wait_for(|given_up| *given_up) => {}
        }
        Ok(())
    }))
}

/// Accepts connections of one direction for as long as the worker lives.
fn accepting<F: Future<Output = Result<(), Refusal>> + 'static>(
    listener: TcpListener,
    direction: Direction,
    options: socket::Options,
    limit: usize,
    worker: &Rc<Worker>,
    serve: fn(Accepted, Rc<Worker>) -> F,
) -> Result<(), String> {
    let failed = |error| format!("the {} port: {error}", direction.name());
    let at = listener.local_addr().map_err(failed)?;
    let listener = socket::register(listener).map_err(failed)?;
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
    tokio::task::spawn_local(accept::run(listener, options, limit, worker.drain.clone(), serve, closed));
    Ok(())
}

/// The certificate's renewal, not yet running.
struct Identity {
    renewal: Renewal,
    anchors: watch::Receiver<Arc<RootCertStore>>,
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
            min_refresh: settings.identity_min_refresh,
            max_refresh: settings.identity_max_refresh,
            backoff: Backoff::CONTROL,
            chance,
            now: clock::wall,
        };
        let (renewal, identity::Seen { certified, status }) = Renewal::new(config, anchors.clone())?;
        Ok(Identity { renewal, anchors, watched, status, certified })
    }

    fn start(self, settings: &Settings) {
        let target = Target { addr: settings.identity_addr, name: settings.identity_name.clone(), mark: settings.mark };
        tokio::task::spawn_local(self.renewal.run(channel(target, Proof::Anonymous(self.anchors))));
        if let Some(watched) = self.watched {
            tokio::task::spawn_local(watched.run(anchors::POLL));
        }
    }
}

fn view(settings: &Settings, certified: &watch::Receiver<Option<Arc<Certified>>>) -> (View, Driver) {
    let to =
        |addr, name: &Option<_>| channel(Target { addr, name: name.clone(), mark: settings.mark }, Proof::Certified(certified.clone()));
    let asked = Asked {
        destination: to(settings.destination_addr, &settings.destination_name),
        policy: to(settings.policy_addr, &settings.policy_name),
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

/// Makes the TLS configurations anew whenever the certificate or the anchors change.
fn publish_mesh(mut certified: watch::Receiver<Option<Arc<Certified>>>, awaited: Awaited) -> watch::Receiver<Option<Arc<Mesh>>> {
    let (publish, mesh) = watch::channel(None);
    tokio::task::spawn_local(async move {
        let mut awaited = Some(awaited);
        loop {
            let current = certified.borrow_and_update().clone();
            match current.map(Mesh::new).transpose() {
                Ok(mesh) => {
                    if mesh.is_some()
                        && let Some(awaited) = awaited.take()
                    {
                        awaited.up();
                    }
                    publish.send_replace(mesh.map(Arc::new));
                }
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
    registry.collect(move |samples| {
        view.sample(samples);
        identity.sample(samples);
    });
    Box::new(move |format| registry.render(format, clock::now()))
}

/// Resolves when the process is told to stop; errors when a worker ended by itself.
async fn until_told(mut shutdown: mpsc::Receiver<()>, workers: &[JoinHandle<Result<(), String>>]) -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| format!("signals: {error}"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| format!("signals: {error}"))?;
    let mut look = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            Some(()) = shutdown.recv() => return Ok(()),
            // A dead worker's listeners would leave a part of all connections unanswered: better to end and be restarted.
            _ = look.tick() => if workers.iter().any(JoinHandle::is_finished) {
                return Err("a worker ended by itself".to_owned());
            }
        }
    }
}

async fn finished(workers: &[JoinHandle<Result<(), String>>]) {
    while !workers.iter().all(JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn listen(addr: std::net::SocketAddr) -> Result<TcpListener, String> {
    socket::listen(addr, true, BACKLOG).map_err(|error| format!("{addr} cannot be listened on: {error}"))
}

/// As many descriptors as the system gives; one connection through the proxy takes two.
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
