//! The metric handles of one label set, resolved once and kept: after that an exchange costs a few additions.

use std::cell::{OnceCell, RefCell};

use super::record::End;
use super::{Direction, families};
use crate::metrics::{Counter, Family, Histogram, Labels, Shard};

/// The handles of one label set of `request_total` and its kin.
pub(super) struct Hop {
    pub(super) labels: Labels,
    pub(super) request: Counter,
    latencies: RefCell<Vec<(u16, Histogram)>>,
    responses: RefCell<Vec<(Ends, Counter)>>,
}

/// What is counted under a hop's labels and some more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// Policy allowed it.
    Allowed,
    Ended(End),
}

impl Hop {
    pub(super) fn new(shard: &Shard, labels: Labels) -> Self {
        let request = shard.counter(&families::REQUEST, &labels);
        Hop { request, latencies: RefCell::default(), responses: RefCell::default(), labels }
    }

    pub(super) fn respond(&self, shard: &Shard, ends: Ends) {
        resolved(&self.responses, ends, || match ends {
            Ends::Allowed => shard.counter(&families::HTTP_ALLOW, &self.labels),
            Ends::Ended(end) => {
                let mut labels = status(self.labels.clone(), "status_code", end.status).with("classification", end.class.label());
                if let Some(grpc) = end.grpc {
                    labels.push("grpc_status", grpc);
                }
                if let Some(error) = end.error {
                    labels.push("error", error);
                }
                shard.counter(&families::RESPONSE, &labels)
            }
        })
        .add(1);
    }

    pub(super) fn latency(&self, shard: &Shard, code: u16, millis: f64) {
        let labels = || status(self.labels.clone(), "status_code", Some(code));
        resolved(&self.latencies, code, || shard.histogram(&families::LATENCY, &labels())).observe(millis);
    }
}

/// What a route counts of its retries.
pub(super) struct Retries {
    pub(super) requests: Counter,
    pub(super) successes: Counter,
    pub(super) limit_exceeded: Counter,
    pub(super) overflow: Counter,
}

/// The handles of one route.
pub(super) struct Route {
    /// Made when the first retry is to be counted.
    retries: OnceCell<Retries>,
    labels: Labels,
    grpc: bool,
    pub(super) requests: Option<Counter>,
    pub(super) duration: Histogram,
    statuses: &'static Family,
    ends: RefCell<Vec<(End, Counter)>>,
}

impl Route {
    pub(super) fn new(shard: &Shard, direction: Direction, grpc: bool, labels: Labels) -> Self {
        let (requests, statuses, duration) = match (direction, grpc) {
            (Direction::Inbound, false) => {
                (Some(&families::INBOUND_HTTP_REQUESTS), &families::INBOUND_HTTP_STATUSES, &families::INBOUND_HTTP_DURATION)
            }
            (Direction::Inbound, true) => {
                (Some(&families::INBOUND_GRPC_REQUESTS), &families::INBOUND_GRPC_STATUSES, &families::INBOUND_GRPC_DURATION)
            }
            (Direction::Outbound, false) => (None, &families::OUTBOUND_HTTP_STATUSES, &families::OUTBOUND_HTTP_DURATION),
            (Direction::Outbound, true) => (None, &families::OUTBOUND_GRPC_STATUSES, &families::OUTBOUND_GRPC_DURATION),
        };
        Route {
            grpc,
            requests: requests.map(|family| shard.counter(family, &labels)),
            duration: shard.histogram(duration, &labels),
            statuses,
            ends: RefCell::default(),
            retries: OnceCell::new(),
            labels,
        }
    }

    pub(super) fn retries(&self, shard: &Shard) -> &Retries {
        self.retries.get_or_init(|| {
            let [requests, successes, limit_exceeded, overflow] = match self.grpc {
                true => &families::GRPC_RETRIES,
                false => &families::HTTP_RETRIES,
            };
            Retries {
                requests: shard.counter(requests, &self.labels),
                successes: shard.counter(successes, &self.labels),
                limit_exceeded: shard.counter(limit_exceeded, &self.labels),
                overflow: shard.counter(overflow, &self.labels),
            }
        })
    }

    pub(super) fn end(&self, shard: &Shard, end: End) {
        resolved(&self.ends, end, || {
            let labels = self.labels.clone();
            let labels = match self.grpc {
                true => labels.with("grpc_status", end.grpc.map(|code| code.to_string()).unwrap_or_default()),
                false => labels.with("http_status", end.status.map(|code| code.to_string()).unwrap_or_default()),
            };
            shard.counter(self.statuses, &labels.with("error", end.error.unwrap_or_default()))
        })
        .add(1);
    }
}

/// The handle for `key` among the few that one label set has, made when it is met first; past [`KEPT`] the oldest is let go.
fn resolved<'a, K: PartialEq + Copy, T>(handles: &'a RefCell<Vec<(K, T)>>, key: K, make: impl FnOnce() -> T) -> std::cell::Ref<'a, T> {
    let known = handles.borrow().iter().position(|(known, _)| *known == key);
    let at = known.unwrap_or_else(|| {
        let mut handles = handles.borrow_mut();
        if handles.len() >= KEPT {
            handles.remove(0);
        }
        handles.push((key, make()));
        handles.len() - 1
    });
    std::cell::Ref::map(handles.borrow(), |handles| &handles[at].1)
}

fn status(labels: Labels, name: &str, status: Option<u16>) -> Labels {
    match status {
        Some(status) => labels.with(name, status),
        None => labels,
    }
}

const KEPT: usize = 32;
