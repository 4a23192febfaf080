//! The record of one request: opened at its head, told what happens, counted and logged once when it is dropped.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::header::CONTENT_TYPE;
use http::{Method, Request, Uri};
use tracing::{debug, info};
use weft_core::model::{Endpoint, Meta, RouteKind};
use weft_core::outcome::{Cause, Class, Refusal, Retry, classify};
use weft_core::policy::{Denied, Permit};
use weft_core::profile::Classes;
use weft_core::retry::Stop;

use super::access::{Exchange, Seen};
use super::cache::{Address, Kept, Key};
use super::handles::{Ends, Hop, Route};
use super::{Accounts, Arrival, Direction, LOG, families, labels};
use crate::relay::Carried;

/// One request and its response. Counts and logs when dropped.
pub(crate) struct Record {
    accounts: Rc<Accounts>,
    side: Side,
    grpc: bool,
    method: Method,
    uri: Uri,
    opened: Instant,
    first: Option<Instant>,
    hop: Option<Rc<Hop>>,
    route: Option<Rc<Route>>,
    status: Option<u16>,
    end: Option<End>,
    refusal: Option<Refusal>,
    retries: u32,
    request_bytes: u64,
    response_bytes: u64,
    /// For the access log, where there is one.
    seen: Option<Box<Seen>>,
    /// What counts as a failure, where the route says it.
    classes: Option<Arc<Classes>>,
}

pub(super) enum Side {
    Inbound(Arrival),
    Outbound { original: SocketAddr, authority: Rc<str> },
}

/// How an exchange ended; labels are made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) status: Option<u16>,
    pub(super) grpc: Option<u32>,
    pub(super) class: Class,
    /// None in the ordinary case, in which telling two ends apart is then comparing numbers: with empty text it was 1 % of small
    /// requests' CPU.
    pub(super) error: Option<&'static str>,
}

impl Record {
    pub(super) fn new(accounts: Rc<Accounts>, side: Side, request: &Request<()>) -> Self {
        let opened = (accounts.clock)();
        let grpc = request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let (first, hop, route, status, end, refusal) = (None, None, None, None, None, None);
        let (retries, request_bytes, response_bytes) = (0, 0, 0);
        let seen = match (&accounts.access, &side) {
            (Some(log), Side::Inbound(arrival)) => Some(log.see(arrival, request)),
            _ => None,
        };
        Record {
            accounts,
            side,
            grpc,
            method,
            uri,
            opened,
            first,
            hop,
            route,
            status,
            end,
            refusal,
            retries,
            request_bytes,
            response_bytes,
            seen,
            classes: None,
        }
    }

    /// Inbound: policy allowed the request.
    pub(crate) fn permitted(&mut self, permit: &Permit<'_>) {
        let Side::Inbound(arrival) = &self.side else { return };
        let (server, route, authorization) = (permit.server, permit.route(), permit.authorization);
        let key = Key::Inbound {
            client: arrival.client.clone(),
            loopback: arrival.remote.ip().is_loopback(),
            target: arrival.target,
            server: server.into(),
            route: route.map(Address::from),
            authorization: authorization.into(),
        };
        let hop = self.accounts.hop(key, || {
            let labels = labels::inbound(arrival, server, route, Some(authorization));
            let kept = Kept::metas([server, authorization].into_iter().chain(route));
            (labels.with("direction", Direction::Inbound.name()), kept)
        });
        hop.request.add(1);
        hop.respond(&self.accounts.shard, Ends::Allowed);
        if permit.is_audited() {
            let (direction, peer, target) = (Direction::Inbound.name(), arrival.remote, arrival.target);
            let (method, path, server) = (&self.method, self.uri.path(), server.name());
            info!(target: LOG, direction, %peer, client = %arrival.client, %target, %method, path, server, "request audited");
        }
        let kind = if self.grpc { RouteKind::Grpc } else { RouteKind::Http };
        let route = self.accounts.route(Direction::Inbound, server, route, kind);
        route.requests.iter().for_each(|requests| requests.add(1));
        (self.hop, self.route) = (Some(hop), Some(route));
    }

    /// Inbound: policy denied the request; this is its refusal too.
    pub(crate) fn denied(&mut self, denied: &Denied) {
        if let Side::Inbound(arrival) = &self.side {
            let family = if denied.cause == Cause::NoRoute { &families::NOT_FOUND } else { &families::HTTP_DENY };
            self.accounts.count(family, &labels::inbound(arrival, &denied.server, denied.route.as_ref(), None));
        }
        self.refused(&denied.clone().into());
    }

    /// Inbound: a change of policy ended the request under way.
    pub(crate) fn terminated(&mut self, denied: &Denied) {
        if let Side::Inbound(arrival) = &self.side {
            let labels = labels::inbound(arrival, &denied.server, denied.route.as_ref(), None);
            self.accounts.count(&families::HTTP_TERMINATE, &labels);
        }
        // The application may have acted on what came until now.
        self.broken(&Refusal { retry: Retry::Unsafe, ..denied.clone().into() });
    }

    /// Outbound: the route that the request takes. `route` is none when none matched.
    pub(crate) fn routed(&mut self, parent: &Meta, route: Option<&Meta>, kind: RouteKind) {
        self.route = Some(self.accounts.route(Direction::Outbound, parent, route, kind));
    }

    /// Outbound: what the route that the request takes counts as a failure.
    pub(crate) fn classes(&mut self, classes: Option<&Arc<Classes>>) {
        self.classes = classes.cloned();
    }

    /// Outbound: the request goes to this endpoint. An attempt before it has ended by `attempt_failed`.
    pub(crate) fn sent(&mut self, endpoint: &Arc<Endpoint>) {
        let Side::Outbound { authority, .. } = &self.side else { return };
        let key = Key::Outbound { endpoint: endpoint.into(), authority: authority.clone() };
        let hop = self.accounts.hop(key, || (labels::outbound(authority, endpoint), Kept::endpoint(endpoint)));
        hop.request.add(1);
        self.hop = Some(hop);
    }

    /// Outbound: the attempt under way failed, and another may follow. Inbound there is one hop, whose end is counted when it comes.
    pub(crate) fn attempt_failed(&mut self, refusal: &Refusal) {
        if matches!(self.side, Side::Outbound { .. })
            && let Some(hop) = self.hop.take()
        {
            let end = End { status: None, grpc: None, class: Class::Failure, error: Some(refusal.cause.label()) };
            hop.respond(&self.accounts.shard, Ends::Ended(end));
        }
    }

    /// Outbound: an answer came that another attempt takes the place of.
    pub(crate) fn attempt_answered(&mut self, status: u16, grpc: Option<u32>) {
        if let Some(hop) = self.hop.take() {
            let end = End { status: Some(status), grpc, class: self.class(status, grpc), error: None };
            hop.respond(&self.accounts.shard, Ends::Ended(end));
        }
    }

    /// Outbound: the route's policy has the request sent again.
    pub(crate) fn retried(&mut self) {
        self.retries += 1;
        if let Some(route) = &self.route {
            route.retries(&self.accounts.shard).requests.add(1);
        }
    }

    /// There is no other attempt, and this is why.
    pub(crate) fn gave_up(&mut self, stop: Stop) {
        let Some(route) = &self.route else { return };
        match stop {
            Stop::Settled | Stop::Overdue => {}
            Stop::Spent | Stop::Unfunded => route.retries(&self.accounts.shard).limit_exceeded.add(1),
            Stop::BodyLost => route.retries(&self.accounts.shard).overflow.add(1),
        }
    }

    pub(crate) fn request_data(&mut self, bytes: usize) {
        self.request_bytes += bytes as u64;
    }

    /// The head of the final response came.
    pub(crate) fn responded(&mut self, status: u16) {
        self.status = Some(status);
    }

    pub(crate) fn response_data(&mut self, bytes: usize) {
        self.first.get_or_insert_with(|| (self.accounts.clock)());
        self.response_bytes += bytes as u64;
    }

    /// The connection was upgraded, and this is what it carried.
    pub(crate) fn carried(&mut self, carried: &Carried) {
        self.request_bytes += carried.up;
        self.response_bytes += carried.down;
        debug!(target: LOG, target = %self.target(), up = carried.up, down = carried.down, end = %carried.end, "upgraded connection ended");
    }

    /// The response is complete.
    pub(crate) fn ended(&mut self, status: u16, grpc: Option<u32>) {
        self.status = Some(status);
        self.end = Some(End { status: Some(status), grpc, class: self.class(status, grpc), error: None });
    }

    /// This proxy answers in place of a server.
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        let family = match self.side {
            Side::Inbound(_) => &families::INBOUND_HTTP_ERRORS,
            Side::Outbound { .. } => &families::OUTBOUND_HTTP_ERRORS,
        };
        self.accounts.count(family, &labels::target(labels::refusal(refusal), self.target()));
        self.broken(refusal);
        if let Some(seen) = &mut self.seen {
            seen.answered = Some(if self.grpc { 200 } else { refusal.cause.status() });
        }
    }

    /// The response broke off after its head.
    pub(crate) fn broken(&mut self, refusal: &Refusal) {
        self.end = Some(End { status: self.status, grpc: None, class: Class::Failure, error: Some(refusal.cause.label()) });
        self.refusal = Some(refusal.clone());
    }

    /// The client went away before the response was complete: a failure if it had seen nothing, for nobody waits that long for a
    /// service that works; else what the head said.
    pub(crate) fn client_gone(&mut self) {
        let class = self.status.map_or(Class::Failure, |status| self.class(status, None));
        self.end = Some(End { status: self.status, grpc: None, class, error: Some(Cause::ClientGone.label()) });
    }

    fn class(&self, status: u16, grpc: Option<u32>) -> Class {
        match &self.classes {
            Some(classes) => classes.classify(status, grpc),
            None => classify(status, grpc),
        }
    }

    fn target(&self) -> SocketAddr {
        match &self.side {
            Side::Inbound(arrival) => arrival.target,
            Side::Outbound { original, .. } => *original,
        }
    }

    fn log(&self, end: &End, now: Instant) {
        let (direction, peer) = match &self.side {
            Side::Inbound(arrival) => (Direction::Inbound.name(), arrival.remote.to_string()),
            Side::Outbound { authority, .. } => (Direction::Outbound.name(), authority.to_string()),
        };
        let (target, method, path) = (self.target(), &self.method, self.uri.path());
        let millis = millis(self.opened, now);
        match &self.refusal {
            Some(refusal) => {
                let Refusal { stage, blame, retry, reason, .. } = refusal;
                let (stage, blame, retry, error) = (stage.name(), blame.name(), retry.name(), end.error.unwrap_or_default());
                let what = if self.status.is_some() { "broken off" } else { "refused" };
                info!(target: LOG, direction, %peer, %target, %method, path, error, stage, blame, retry, millis, %reason, "{what}");
            }
            None => {
                let (sent, received) = (self.request_bytes, self.response_bytes);
                let (status, grpc, class) = (end.status, end.grpc, end.class.label());
                debug!(target: LOG, direction, %peer, %target, %method, path, status, grpc, class, error = end.error.unwrap_or_default(), millis, sent, received, "exchange");
            }
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.end.is_none() {
            // Whoever held the record was itself dropped: the connection's task ended with its client.
            self.client_gone();
        }
        let Some(end) = self.end else { return };
        let now = (self.accounts.clock)();
        if let Some(hop) = &self.hop {
            hop.respond(&self.accounts.shard, Ends::Ended(end));
            if let Some(status) = end.status {
                hop.latency(&self.accounts.shard, status, millis(self.opened, self.first.unwrap_or(now)));
            }
        }
        if let Some(route) = &self.route {
            route.end(&self.accounts.shard, end);
            if self.retries > 0 && end.class == Class::Success {
                route.retries(&self.accounts.shard).successes.add(1);
            }
            route.duration.observe(now.saturating_duration_since(self.opened).as_secs_f64());
        }
        if let (Some(log), Some(seen), Side::Inbound(from)) = (&self.accounts.access, &self.seen, &self.side) {
            let (method, uri, request_bytes, response_bytes) = (&self.method, &self.uri, self.request_bytes, self.response_bytes);
            let (status, total) = (seen.answered.or(end.status), now.saturating_duration_since(self.opened));
            log.write(seen, &Exchange { from, method, uri, status, request_bytes, response_bytes, total });
        }
        if self.refusal.is_some() || tracing::enabled!(target: LOG, tracing::Level::DEBUG) {
            self.log(&end, now);
        }
    }
}

fn millis(since: Instant, now: Instant) -> f64 {
    now.saturating_duration_since(since).as_secs_f64() * 1e3
}
