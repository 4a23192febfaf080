//! What every exchange and every connection leaves behind: one count in each metric that it concerns, and one log line.
//!
//! A guard is opened first, told what happens, and counts when it is dropped: exactly once, whatever way the exchange ended. Names and
//! labels are Linkerd's. Handles are resolved once for a label set and kept; after that an exchange costs a few additions.
//! Nothing here decides: how an end is classified is `weft_core::outcome`'s to say.
//!
//! ```ignore
//! // inbound.rs                                              // outbound.rs
//! let mut record = accounts.inbound(&arrival, &request);     let mut record = accounts.outbound(original, authority, &request);
//! match policy::http(..) {                                   record.routed(&http.parent, Some(&matched.route.meta), http.kind);
//!     Ok(permit) => record.permitted(&permit),               record.sent(&endpoint);              // each attempt again
//!     Err(denied) => record.denied(&denied),                 record.attempt_failed(&refusal);     // before another attempt
//! }
//! record.responded(status);                                  // the head of the response
//! record.response_data(bytes);                               // each piece of its body
//! record.ended(status, grpc_status);                         // or refused(&refusal), broken(&refusal), client_gone()
//! ```
//! A `Connection` is opened by `accepted`, `connected` or `connection`, told of `read` and `wrote` bytes, and counts its close.

mod cache;
mod families;
mod labels;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::header::CONTENT_TYPE;
use http::{Method, Request, Uri};
use tracing::{debug, info};
use weft_core::identity::{Client, Identity};
use weft_core::model::{Endpoint, Meta, RouteKind};
use weft_core::outcome::{Cause, Class, Refusal, classify};
use weft_core::policy::{Denied, Permit};

use self::cache::{Address, Cache, Kept, Key};
use crate::metrics::{Counter, Family, Gauge, Histogram, Labels, Registry, Shard};
use crate::relay::Carried;

/// One worker's account book.
pub(crate) struct Accounts {
    shard: Shard,
    clock: Box<dyn Fn() -> Instant>,
    hops: Cache<Hop>,
    routes: Cache<Route>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Inbound,
    Outbound,
}

/// Which side of the proxy a connection is on: the client's (`src`) or the server's (`dst`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Source,
    Destination,
}

/// How a connection is secured, for its labels.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tls<'a> {
    /// Mesh TLS that a client opened, and who it proved to be.
    Client(Option<&'a Identity>),
    /// Mesh TLS that we opened.
    Server(&'a Identity),
    /// None, and why: `loopback`, `port_skipped`, `no_tls_from_remote`, `not_provided_by_service_discovery`.
    No(&'static str),
    /// The application's own, passed through.
    Opaque(Option<&'a str>),
}

/// An inbound connection, once its client is known.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) remote: SocketAddr,
    /// The application's address.
    pub(crate) target: SocketAddr,
    pub(crate) client: Client,
}

impl Accounts {
    /// A new shard of the registry; `clock` is asked at the beginning, the first byte and the end of each exchange.
    pub(crate) fn new(registry: &Registry, clock: impl Fn() -> Instant + 'static) -> Self {
        Accounts { shard: registry.shard(), clock: Box::new(clock), hops: Cache::new(), routes: Cache::new() }
    }

    /// Opens the record of a request from elsewhere.
    pub(crate) fn inbound(self: &Rc<Self>, arrival: &Arrival, request: &Request<()>) -> Record {
        Record::new(self.clone(), Side::Inbound(arrival.clone()), request)
    }

    /// Opens the record of the application's request to `original`; `authority` is the label.
    pub(crate) fn outbound(self: &Rc<Self>, original: SocketAddr, authority: &str, request: &Request<()>) -> Record {
        Record::new(self.clone(), Side::Outbound { original, authority: authority.into() }, request)
    }

    /// A connection that was accepted from elsewhere, once its client is known.
    pub(crate) fn accepted(&self, arrival: &Arrival) -> Connection {
        self.connection(Direction::Inbound, Peer::Source, arrival.target, labels::client(arrival))
    }

    /// A connection that was opened to an endpoint.
    pub(crate) fn connected(&self, direction: Direction, endpoint: &Endpoint) -> Connection {
        let labels = labels::connection(direction, Peer::Destination, endpoint.addr, &labels::server(endpoint));
        Connection::new(&self.shard, labels::endpoint_labels(labels, endpoint))
    }

    /// Any other connection.
    pub(crate) fn connection(&self, direction: Direction, peer: Peer, target: SocketAddr, tls: Tls<'_>) -> Connection {
        Connection::new(&self.shard, labels::connection(direction, peer, target, &tls))
    }

    /// Policy allowed a connection whose bytes are passed on as they are.
    pub(crate) fn stream_permitted(&self, arrival: &Arrival, permit: &Permit<'_>) {
        self.count(&families::TCP_ALLOW, &labels::inbound(arrival, permit.server, None, Some(permit.authorization)));
    }

    /// Policy denied one. `stream_refused` tells the rest.
    pub(crate) fn stream_denied(&self, arrival: &Arrival, denied: &Denied) {
        self.count(&families::TCP_DENY, &labels::inbound(arrival, &denied.server, None, None));
    }

    /// A connection went no further.
    pub(crate) fn stream_refused(&self, direction: Direction, remote: SocketAddr, target: SocketAddr, refusal: &Refusal) {
        self.count(direction.tcp_errors(), &labels::target(Labels::default().with("error", refusal.cause.label()), target));
        let (stage, blame, reason) = (refusal.stage.name(), refusal.blame.name(), &*refusal.reason);
        info!(target: LOG, direction = direction.name(), %remote, %target, stage, blame, reason, "connection refused");
    }

    /// A connection whose bytes were passed on as they are has ended. A side that broke off counts as an error.
    pub(crate) fn stream_ended(&self, direction: Direction, remote: SocketAddr, target: SocketAddr, carried: &Carried) {
        let Carried { up, down, end } = carried;
        if let Some(error) = end.error() {
            let labels = labels::target(Labels::default().with("error", error), target);
            self.count(direction.tcp_errors(), &labels);
        }
        debug!(target: LOG, direction = direction.name(), %remote, %target, up, down, %end, "connection ended");
    }

    /// For what is rare: the handle is not kept.
    fn count(&self, family: &'static Family, labels: &Labels) {
        self.shard.counter(family, labels).add(1);
    }

    fn hop(&self, key: Key, make: impl FnOnce() -> (Labels, Kept)) -> Rc<Hop> {
        self.hops.get(key, || {
            let (labels, kept) = make();
            let request = self.shard.counter(&families::REQUEST, &labels);
            (Hop { request, latencies: RefCell::default(), responses: RefCell::default(), labels }, kept)
        })
    }

    fn route(&self, direction: Direction, parent: &Meta, route: Option<&Meta>, kind: RouteKind) -> Rc<Route> {
        let grpc = kind == RouteKind::Grpc;
        // A document is a parent on one side only, so the direction is no part of the key.
        self.routes.get(Key::Route { parent: parent.into(), route: route.map(Address::from), grpc }, || {
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
            let labels = labels::route(parent, route);
            let handles = Route {
                grpc,
                requests: requests.map(|family| self.shard.counter(family, &labels)),
                duration: self.shard.histogram(duration, &labels),
                statuses,
                ends: RefCell::default(),
                labels,
            };
            (handles, Kept::metas([parent].into_iter().chain(route)))
        })
    }
}

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
    reason: Option<String>,
    request_bytes: u64,
    response_bytes: u64,
}

enum Side {
    Inbound(Arrival),
    Outbound { original: SocketAddr, authority: Arc<str> },
}

/// How an exchange ended; labels are made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    status: Option<u16>,
    grpc: Option<u32>,
    class: Class,
    error: &'static str,
}

impl Record {
    fn new(accounts: Rc<Accounts>, side: Side, request: &Request<()>) -> Self {
        let opened = (accounts.clock)();
        let grpc = request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let (first, hop, route, status, end, reason) = (None, None, None, None, None, None);
        let (request_bytes, response_bytes) = (0, 0);
        Record { accounts, side, grpc, method, uri, opened, first, hop, route, status, end, reason, request_bytes, response_bytes }
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

    /// Outbound: the route that the request takes. `route` is none when none matched.
    pub(crate) fn routed(&mut self, parent: &Meta, route: Option<&Meta>, kind: RouteKind) {
        self.route = Some(self.accounts.route(Direction::Outbound, parent, route, kind));
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
            let end = End { status: None, grpc: None, class: Class::Failure, error: refusal.cause.label() };
            hop.respond(&self.accounts.shard, Ends::Ended(end));
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
        self.end = Some(End { status: Some(status), grpc, class: classify(status, grpc), error: "" });
    }

    /// This proxy answers in place of a server.
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        let family = match self.side {
            Side::Inbound(_) => &families::INBOUND_HTTP_ERRORS,
            Side::Outbound { .. } => &families::OUTBOUND_HTTP_ERRORS,
        };
        let labels = labels::target(Labels::default().with("error", refusal.cause.label()), self.target());
        self.accounts.count(family, &labels);
        self.broken(refusal);
        self.reason = Some(format!("{} ({}: {})", refusal.reason, refusal.stage.name(), refusal.blame.name()));
    }

    /// The response broke off after its head.
    pub(crate) fn broken(&mut self, refusal: &Refusal) {
        self.end = Some(End { status: self.status, grpc: None, class: Class::Failure, error: refusal.cause.label() });
    }

    /// The client went away before the response was complete: a failure if it had seen nothing, for nobody waits that long for a
    /// service that works; else what the head said.
    pub(crate) fn client_gone(&mut self) {
        let class = self.status.map_or(Class::Failure, |status| classify(status, None));
        self.end = Some(End { status: self.status, grpc: None, class, error: "client_gone" });
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
        match &self.reason {
            Some(reason) => info!(target: LOG, direction, %peer, %target, %method, path, error = end.error, millis, reason, "refused"),
            None => {
                let (sent, received) = (self.request_bytes, self.response_bytes);
                let (status, grpc, class) = (end.status, end.grpc, end.class.label());
                debug!(target: LOG, direction, %peer, %target, %method, path, status, grpc, class, error = end.error, millis, sent, received, "exchange");
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
            route.duration.observe(now.saturating_duration_since(self.opened).as_secs_f64());
        }
        if self.reason.is_some() || tracing::enabled!(target: LOG, tracing::Level::DEBUG) {
            self.log(&end, now);
        }
    }
}

/// The handles of one label set of `request_total` and its kin.
struct Hop {
    labels: Labels,
    request: Counter,
    latencies: RefCell<Vec<(u16, Histogram)>>,
    responses: RefCell<Vec<(Ends, Counter)>>,
}

/// What is counted under a hop's labels and some more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Policy allowed it.
    Allowed,
    Ended(End),
}

impl Hop {
    fn respond(&self, shard: &Shard, ends: Ends) {
        resolved(&self.responses, ends, || match ends {
            Ends::Allowed => shard.counter(&families::HTTP_ALLOW, &self.labels),
            Ends::Ended(end) => {
                let mut labels = status(self.labels.clone(), "status_code", end.status).with("classification", end.class.label());
                if let Some(grpc) = end.grpc {
                    labels.push("grpc_status", grpc);
                }
                if !end.error.is_empty() {
                    labels.push("error", end.error);
                }
                shard.counter(&families::RESPONSE, &labels)
            }
        })
        .add(1);
    }

    fn latency(&self, shard: &Shard, code: u16, millis: f64) {
        let labels = || status(self.labels.clone(), "status_code", Some(code));
        resolved(&self.latencies, code, || shard.histogram(&families::LATENCY, &labels())).observe(millis);
    }
}

/// The handles of one route.
struct Route {
    labels: Labels,
    grpc: bool,
    requests: Option<Counter>,
    duration: Histogram,
    statuses: &'static Family,
    ends: RefCell<Vec<(End, Counter)>>,
}

impl Route {
    fn end(&self, shard: &Shard, end: End) {
        resolved(&self.ends, end, || {
            let labels = self.labels.clone();
            let labels = match self.grpc {
                true => labels.with("grpc_status", end.grpc.map(|code| code.to_string()).unwrap_or_default()),
                false => labels.with("http_status", end.status.map(|code| code.to_string()).unwrap_or_default()),
            };
            shard.counter(self.statuses, &labels.with("error", end.error))
        })
        .add(1);
    }
}

/// One connection. Counts its close when dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    open: Gauge,
    read: Counter,
    write: Counter,
    close: Counter,
}

impl Connection {
    fn new(shard: &Shard, labels: Labels) -> Self {
        let open = shard.gauge(&families::TCP_OPEN_NOW, &labels);
        open.add(1);
        shard.counter(&families::TCP_OPEN, &labels).add(1);
        let (read, write) = (shard.counter(&families::TCP_READ, &labels), shard.counter(&families::TCP_WRITE, &labels));
        Connection { open, read, write, close: shard.counter(&families::TCP_CLOSE, &labels) }
    }

    pub(crate) fn read(&self, bytes: usize) {
        self.read.add(bytes as u64);
    }

    pub(crate) fn wrote(&self, bytes: usize) {
        self.write.add(bytes as u64);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.add(-1);
        self.close.add(1);
    }
}

impl Direction {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }

    fn tcp_errors(self) -> &'static Family {
        match self {
            Direction::Inbound => &families::INBOUND_TCP_ERRORS,
            Direction::Outbound => &families::OUTBOUND_TCP_ERRORS,
        }
    }
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Peer::Source => "src",
            Peer::Destination => "dst",
        }
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

fn millis(since: Instant, now: Instant) -> f64 {
    now.saturating_duration_since(since).as_secs_f64() * 1e3
}

const KEPT: usize = 32;
/// The log target, so that exchanges can be turned on alone.
const LOG: &str = "weft::exchange";

#[cfg(test)]
mod tests;
