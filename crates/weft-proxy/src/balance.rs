//! The balance stage: which endpoint of a destination takes the next request, and how long a request may wait for one.
//!
//! The choice itself is weft-core's; this file keeps what it is made from: one load and one state of health for each endpoint, which
//! outlive the updates of the endpoint set. An endpoint that refused a connection is left alone for a growing pause. It never opens a
//! connection.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::AHashMap;
use weft_core::balance::{FAILURE_PENALTY, Load, pick};
use weft_core::model::{Endpoints, PeakEwma, Queue};
use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};

use crate::clock;
use crate::connect::{Peer, Way};
use crate::live::Live;
use crate::settings::Settings;

pub(crate) struct Balancer {
    path: Arc<str>,
    published: Live<Option<Arc<Endpoints>>>,
    way: Way,
    settings: PeakEwma,
    /// The published value that `slots` was made from.
    applied: RefCell<Rc<Option<Arc<Endpoints>>>>,
    slots: RefCell<Vec<Rc<Slot>>>,
    /// Room for the choice, kept so that choosing allocates nothing.
    ready: RefCell<Vec<usize>>,
    waiting: Cell<usize>,
}

/// One endpoint, what is known of its load, and whether it may be asked.
pub(crate) struct Slot {
    pub(crate) peer: Peer,
    load: RefCell<Load>,
    not_before: Cell<Option<Instant>>,
}

/// One request under way; its end is told to the load estimate, by `abandoned` when nothing else was said.
pub(crate) struct InFlight {
    slot: Rc<Slot>,
    since: Instant,
    told: bool,
}

impl Balancer {
    pub(crate) fn new(path: Arc<str>, published: Live<Option<Arc<Endpoints>>>, settings: PeakEwma, way: Way) -> Self {
        Balancer {
            path,
            published,
            way,
            settings,
            applied: RefCell::default(),
            slots: RefCell::default(),
            ready: RefCell::default(),
            waiting: Cell::new(0),
        }
    }

    /// Whether a request could be sent now.
    pub(crate) fn is_available(&self) -> bool {
        self.apply();
        let now = clock::lately();
        self.slots.borrow().iter().any(|slot| slot.is_ready(now))
    }

    /// Whether a request could be sent now to an endpoint that is not among `tried`.
    pub(crate) fn has_others(&self, tried: &[SocketAddr]) -> bool {
        self.apply();
        let now = clock::lately();
        self.slots.borrow().iter().any(|slot| slot.is_ready(now) && !tried.contains(&slot.peer.endpoint.addr))
    }

    /// The endpoint for one request. `tried` are passed over while there are others. Waits for one until `deadline`, with at most
    /// `queue.capacity` others.
    pub(crate) async fn pick(
        &self,
        tried: &[SocketAddr],
        queue: Queue,
        deadline: Instant,
        random: &mut impl FnMut() -> u32,
    ) -> Result<Rc<Slot>, Refusal> {
        self.apply();
        match self.choose(clock::lately(), tried, random) {
            Some(slot) => Ok(slot),
            // On the heap: hardly a request has to wait.
            None => Box::pin(self.wait(tried, queue, deadline, random)).await,
        }
    }

    async fn wait(
        &self,
        tried: &[SocketAddr],
        queue: Queue,
        deadline: Instant,
        random: &mut impl FnMut() -> u32,
    ) -> Result<Rc<Slot>, Refusal> {
        loop {
            // Watched before looked at, so that a set published in between is not missed.
            let changed = self.published.changed();
            self.apply();
            let now = clock::now();
            if let Some(slot) = self.choose(now, tried, random) {
                return Ok(slot);
            }
            if now >= deadline {
                return Err(self.nobody(queue));
            }
            let _place = self.enter(queue)?;
            let wake = self.next_retry().map_or(deadline, |at| at.min(deadline));
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
    }

    /// Closes idle connections that were kept for long enough.
    pub(crate) fn sweep(&self, now: Instant) {
        self.slots.borrow().iter().for_each(|slot| slot.peer.sweep(now));
    }

    /// One more request to the endpoint. It failed to connect: see `InFlight::unreachable`.
    pub(crate) fn begin(&self, slot: &Rc<Slot>) -> InFlight {
        let now = clock::lately();
        slot.load.borrow_mut().started(now);
        InFlight { slot: slot.clone(), since: now, told: false }
    }

    fn choose(&self, now: Instant, tried: &[SocketAddr], random: &mut impl FnMut() -> u32) -> Option<Rc<Slot>> {
        let slots = self.slots.borrow();
        let mut ready = self.ready.borrow_mut();
        for passed_over in [tried, &[]] {
            let fits = |slot: &Slot| slot.is_ready(now) && !passed_over.contains(&slot.peer.endpoint.addr);
            ready.clear();
            ready.extend(slots.iter().enumerate().filter(|(_, slot)| fits(slot)).map(|(index, _)| index));
            if !ready.is_empty() || tried.is_empty() {
                break;
            }
        }
        let slot = slots[pick(|index| slots[index].load.borrow(), &ready, now, random)?].clone();
        // After a pause one request finds out whether the endpoint is back; meanwhile others go where they are sure of a connection.
        if slot.not_before.get().is_some() && ready.len() > 1 {
            slot.not_before.set(Some(now + self.way.timeout));
        }
        Some(slot)
    }

    fn next_retry(&self) -> Option<Instant> {
        self.slots.borrow().iter().filter_map(|slot| slot.not_before.get()).min()
    }

    /// Takes over a newly published set; endpoints that stay keep their load, health and connections.
    fn apply(&self) {
        let published = self.published.load();
        let mut applied = self.applied.borrow_mut();
        if Rc::ptr_eq(&applied, &published) {
            return;
        }
        let mut slots = self.slots.borrow_mut();
        let old = std::mem::take(&mut *slots);
        let now = clock::now();
        let fresh = {
            let siblings: Vec<_> = old.iter().map(|slot| slot.load.borrow()).collect();
            Load::new(self.settings, siblings.iter().map(|load| &**load), now)
        };
        let old: AHashMap<_, _> = old.into_iter().map(|slot| (slot.peer.endpoint.addr, slot)).collect();
        for endpoint in published.iter().flat_map(|set| set.endpoints.values()) {
            let kept = old.get(&endpoint.addr).filter(|slot| *slot.peer.endpoint == **endpoint);
            let slot = kept.cloned().unwrap_or_else(|| {
                let peer = Peer::new(endpoint.clone(), self.way);
                Rc::new(Slot { peer, load: RefCell::new(fresh.clone()), not_before: Cell::new(None) })
            });
            slots.push(slot);
        }
        *applied = published;
    }

    fn enter(&self, queue: Queue) -> Result<Place<'_>, Refusal> {
        if self.waiting.get() >= queue.capacity {
            let reason = format!("{} requests wait for an endpoint of {} already", queue.capacity, self.path);
            return Err(Refusal::new(Stage::Balance, Blame::Server, Retry::Safe, Cause::LoadShed, reason));
        }
        self.waiting.set(self.waiting.get() + 1);
        Ok(Place(&self.waiting))
    }

    fn nobody(&self, queue: Queue) -> Refusal {
        let known = self.applied.borrow();
        let path = &self.path;
        let after = queue.failfast;
        let reason = match known.as_deref() {
            None => format!("the control plane has not named the endpoints of {path} within {after:?}"),
            Some(set) if !set.exists => format!("{path} does not exist"),
            Some(set) if set.endpoints.is_empty() => format!("{path} has had no ready endpoint for {after:?}"),
            Some(set) => format!("none of the {} endpoints of {path} has taken a connection for {after:?}", set.endpoints.len()),
        };
        Refusal::new(Stage::Balance, Blame::Server, Retry::Safe, Cause::FailFast, reason)
    }
}

/// A place among those who wait.
struct Place<'a>(&'a Cell<usize>);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Slot {
    fn is_ready(&self, now: Instant) -> bool {
        self.not_before.get().is_none_or(|at| at <= now)
    }

    /// Leaves the endpoint alone for a pause that grows with the failures in a row.
    fn back_off(&self, settings: &Settings, random: u32) {
        let doublings = self.peer.failures().saturating_sub(1).min(16);
        let pause = settings.outbound_backoff_min.saturating_mul(1 << doublings).min(settings.outbound_backoff_max);
        let jitter = settings.outbound_backoff_jitter * f64::from(random) / f64::from(u32::MAX);
        self.not_before.set(Some(clock::now() + pause.mul_f64(1.0 + jitter)));
    }
}

impl InFlight {
    /// There is a connection, and the request goes out now. The time that a handshake took says nothing about how fast the endpoint
    /// answers, and one slow handshake would turn requests away from it long after.
    pub(crate) fn connected(&mut self) {
        self.since = clock::lately();
    }

    /// The head of the answer came.
    pub(crate) fn answered(&mut self) {
        if !std::mem::replace(&mut self.told, true) {
            let now = clock::lately();
            self.slot.not_before.set(None);
            self.slot.load.borrow_mut().finished(now, now.saturating_duration_since(self.since));
        }
    }

    /// The server is there and does not do its work: its proxy says that the application cannot be reached, or the connection broke.
    pub(crate) fn failed(&mut self) {
        if !std::mem::replace(&mut self.told, true) {
            self.slot.load.borrow_mut().failed(clock::lately(), FAILURE_PENALTY);
        }
    }

    /// No connection could be opened. The pause alone keeps requests away: a penalty would outlast it when the endpoint is back.
    pub(crate) fn unreachable(&mut self, settings: &Settings, random: u32) {
        self.slot.back_off(settings, random);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.told {
            self.slot.load.borrow_mut().abandoned();
        }
    }
}

/// The time until which a request may wait.
pub(crate) fn deadline(queue: Queue) -> Instant {
    clock::lately() + queue.failfast.max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests;
