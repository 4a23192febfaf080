//! Whom requests of one route go to: one peer, or whichever a balancer chooses.
//!
//! What is learnt of the one that was chosen is told to its load estimate. It opens no connection.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use weft_core::model::Queue;
use weft_core::outcome::{Blame, Refusal};

use crate::balance::{self, Balancer, InFlight, Slot};
use crate::clock;
use crate::connect::Peer;
use crate::worker::Worker;

/// Where requests of one route go.
#[derive(Clone)]
pub(crate) enum Target {
    Balanced { balancer: Rc<Balancer>, queue: Queue },
    One(Rc<Peer>),
}

/// The peer that was chosen for one attempt.
pub(super) enum Chosen {
    Slot(Rc<Slot>, InFlight),
    One(Rc<Peer>),
}

impl Target {
    pub(super) async fn choose(&self, tried: &[SocketAddr], deadline: Instant, worker: &Worker) -> Result<Chosen, Refusal> {
        match self {
            Target::One(peer) => Ok(Chosen::One(peer.clone())),
            Target::Balanced { balancer, queue } => {
                let slot = balancer.pick(tried, *queue, deadline, &mut || worker.random()).await?;
                let flight = balancer.begin(&slot);
                Ok(Chosen::Slot(slot, flight))
            }
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        match self {
            Target::Balanced { queue, .. } => balance::deadline(*queue),
            Target::One(_) => clock::lately(),
        }
    }

    /// Whether there is anybody else to try, now.
    pub(super) fn has_others(&self, tried: &[SocketAddr]) -> bool {
        match self {
            Target::Balanced { balancer, .. } => balancer.has_others(tried),
            Target::One(_) => false,
        }
    }
}

impl Chosen {
    pub(super) fn peer(&self) -> &Peer {
        match self {
            Chosen::Slot(slot, _) => &slot.peer,
            Chosen::One(peer) => peer,
        }
    }

    pub(super) fn connected(&mut self) {
        if let Chosen::Slot(_, flight) = self {
            flight.connected();
        }
    }

    /// No connection could be opened. Says nothing of the endpoint if the fault was this proxy's.
    pub(super) fn unreachable(&mut self, refusal: &Refusal, worker: &Worker) {
        if refusal.blame == Blame::Server
            && let Chosen::Slot(_, flight) = self
        {
            flight.unreachable(&worker.settings, worker.random());
        }
    }

    pub(super) fn failed(&mut self) {
        if let Chosen::Slot(_, flight) = self {
            flight.failed();
        }
    }

    pub(super) fn answered(&mut self) {
        if let Chosen::Slot(_, flight) = self {
            flight.answered();
        }
    }
}
