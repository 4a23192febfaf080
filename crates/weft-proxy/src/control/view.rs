//! What this proxy knows of the mesh: one published value per destination, per set of endpoints and per inbound port.
//!
//! The first use of a key starts a watch on the admin thread; all workers share what it publishes, and hold a receiver that they
//! read without a lock. The last value stays in force while the control plane is away. Keys that nobody holds are forgotten after a
//! while, if the control plane could be asked again. It decides nothing about traffic and keeps no state of its own beside the keys.

mod table;
mod watches;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use weft_core::model::{Endpoint, Endpoints, InboundPolicy, OutboundPolicy};

use self::table::{Start, Table};
use self::watches::Questions;
use super::channels::Channels;
use super::default_inbound::DefaultInbound;
use super::stream::Patience;
use crate::metrics::{Family, Kind, Labels, Samples};

/// What an outbound question is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Destination {
    /// Where a connection was meant to go.
    Address(SocketAddr),
    /// What a request names, with or without a port.
    Name(Arc<str>),
}

impl Destination {
    /// The port that is meant; 80 where a name has none.
    fn port(&self) -> u16 {
        match self {
            Destination::Address(addr) => addr.port(),
            Destination::Name(name) => name.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(80),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Address(addr) => addr.fmt(f),
            Destination::Name(name) => name.fmt(f),
        }
    }
}

/// What is known about one target.
#[derive(Clone, Debug)]
pub(crate) enum Discovery {
    Policy(Arc<OutboundPolicy>),
    /// The address is one workload's own: straight to it.
    Endpoint {
        endpoint: Arc<Endpoint>,
        opaque: bool,
    },
    /// The mesh knows nothing of it: on to where the application meant it to go.
    Unknown,
}

/// A handle for workers.
#[derive(Clone)]
pub(crate) struct View {
    shared: Arc<Shared>,
}

struct Shared {
    outbound: Table<Destination, Option<Arc<Discovery>>>,
    endpoints: Table<Arc<str>, Option<Arc<Endpoints>>>,
    inbound: Table<u16, Arc<InboundPolicy>>,
    default_inbound: DefaultInbound,
}

/// How many keys are kept and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of each of the three kinds.
    pub(crate) keys: usize,
    pub(crate) outbound_idle: Duration,
    pub(crate) inbound_idle: Duration,
}

/// Whom to ask and as whom.
pub(crate) struct Asked {
    pub(crate) destination: Channels,
    pub(crate) policy: Channels,
    /// `TrafficSpec.source_workload`, `PortSpec.workload`.
    pub(crate) workload: String,
    /// `GetDestination.context_token`.
    pub(crate) context: String,
    pub(crate) patience: Patience,
}

/// The side that lives on the admin thread: run it there.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    questions: Questions,
    outbound: mpsc::Receiver<Start<Destination, Option<Arc<Discovery>>>>,
    endpoints: mpsc::Receiver<Start<Arc<str>, Option<Arc<Endpoints>>>>,
    inbound: mpsc::Receiver<Start<u16, Arc<InboundPolicy>>>,
    limits: Limits,
}

/// How often unused keys are looked for.
const SWEEP: Duration = Duration::from_secs(10);

impl View {
    pub(crate) fn new(asked: Asked, default_inbound: DefaultInbound, limits: Limits) -> (View, Driver) {
        let (outbound_table, outbound) = Table::new("outbound", limits.keys);
        let (endpoints_table, endpoints) = Table::new("endpoints", limits.keys);
        let (inbound_table, inbound) = Table::new("inbound", limits.keys);
        let shared = Arc::new(Shared { outbound: outbound_table, endpoints: endpoints_table, inbound: inbound_table, default_inbound });
        let questions = Questions::new(asked);
        (View { shared: shared.clone() }, Driver { shared, questions, outbound, endpoints, inbound, limits })
    }

    /// What to do with what goes to `target`; `None` until the first answer. A caller that will not wait longer goes on as for `Unknown`.
    pub(crate) fn outbound(&self, target: Destination) -> watch::Receiver<Option<Arc<Discovery>>> {
        self.shared.outbound.watch(target, || None, || Some(Arc::new(Discovery::Unknown)))
    }

    /// The endpoints of a destination path; `None` until the first answer.
    pub(crate) fn endpoints(&self, path: &str) -> watch::Receiver<Option<Arc<Endpoints>>> {
        self.shared.endpoints.watch(path.into(), || None, || Some(Arc::default()))
    }

    /// What an inbound port allows: the configured default until the control plane has answered.
    pub(crate) fn inbound(&self, port: u16) -> watch::Receiver<Arc<InboundPolicy>> {
        let default = || self.shared.default_inbound.policy(port);
        self.shared.inbound.watch(port, default, default)
    }

    /// Gives a scrape how many keys are held, and how many were refused because there were too many.
    pub(crate) fn sample(&self, samples: &mut Samples) {
        for counts in [self.shared.outbound.counts(), self.shared.endpoints.counts(), self.shared.inbound.counts()] {
            let labels = Labels::default().with("kind", counts.kind);
            samples.push(&HELD, labels.clone(), counts.keys as f64);
            samples.push(&REFUSED, labels, counts.refused as f64);
        }
    }
}

/// All of them, for the reference.
pub(crate) static FAMILIES: &[&Family] = &[&HELD, &REFUSED];
static HELD: Family = Family {
    name: "control_view_keys",
    help: "Destinations, endpoint sets and ports that the control plane is asked about.",
    kind: Kind::Gauge,
};
static REFUSED: Family = Family {
    name: "control_view_refused_total",
    help: "Uses of a key that was not asked about because there were too many.",
    kind: Kind::Counter,
};

impl Driver {
    /// Starts watches as they are asked for and ends those that nobody needs; returns when the last `View` is gone.
    pub(crate) async fn run(mut self) {
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(start) = self.outbound.recv() => start.run(|key, publish, live| self.questions.outbound(key, publish, live)),
                Some(start) = self.endpoints.recv() => start.run(|key, publish, live| self.questions.endpoints(key, publish, live)),
                Some(start) = self.inbound.recv() => {
                    let default = self.shared.default_inbound.policy(start.key);
                    start.run(|key, publish, live| self.questions.inbound(key, default, publish, live));
                }
                now = sweep.tick() => {
                    self.shared.outbound.forget_unused(now, self.limits.outbound_idle);
                    self.shared.endpoints.forget_unused(now, self.limits.outbound_idle);
                    self.shared.inbound.forget_unused(now, self.limits.inbound_idle);
                    if Arc::strong_count(&self.shared) == 1 {
                        return;
                    }
                }
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.outbound.clear();
        self.shared.endpoints.clear();
        self.shared.inbound.clear();
    }
}

#[cfg(test)]
pub(crate) mod tests;
