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

pub(crate) mod access;
mod cache;
mod connection;
mod families;
mod handles;
mod labels;
mod names;
mod record;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc::SyncSender;
use std::time::{Instant, SystemTime};

use http::Request;
use tracing::{debug, info};
use weft_core::identity::{Client, Identity};
use weft_core::model::{Endpoint, Meta, RouteKind};
use weft_core::outcome::Refusal;
use weft_core::policy::{Denied, Permit};

use self::cache::{Address, Cache, Kept, Key};
pub(crate) use self::connection::Connection;
pub(crate) use self::families::ALL as FAMILIES;
use self::handles::{Hop, Route};
use self::names::Names;
pub(crate) use self::record::Record;
use self::record::Side;
use crate::metrics::{Family, Labels, Registry, Shard};
use crate::relay::Carried;
use crate::settings::AccessLog;

/// One worker's account book.
pub(crate) struct Accounts {
    shard: Shard,
    clock: Box<dyn Fn() -> Instant>,
    hops: Cache<Hop>,
    routes: Cache<Route>,
    access: Option<access::AccessLog>,
    server_names: Names,
    /// What the application's last request named: the next one mostly names the same.
    authority: RefCell<Rc<str>>,
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
    /// The application's own, passed through, and the server name in its greeting.
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
        Accounts {
            shard: registry.shard(),
            clock: Box::new(clock),
            hops: Cache::new(),
            routes: Cache::new(),
            access: None,
            server_names: Names::default(),
            authority: RefCell::new("".into()),
        }
    }

    /// The same, with a line in an access log for each inbound request.
    pub(crate) fn with_access_log(mut self, format: AccessLog, lines: SyncSender<String>, wall: fn() -> SystemTime) -> Self {
        self.access = Some(access::AccessLog::new(format, lines, &self.shard, wall));
        self
    }

    /// Opens the record of a request from elsewhere.
    pub(crate) fn inbound(self: &Rc<Self>, arrival: &Arrival, request: &Request<()>) -> Record {
        Record::new(self.clone(), Side::Inbound(arrival.clone()), request)
    }

    /// Opens the record of the application's request to `original`; `authority` is the label.
    pub(crate) fn outbound(self: &Rc<Self>, original: SocketAddr, authority: &str, request: &Request<()>) -> Record {
        Record::new(self.clone(), Side::Outbound { original, authority: self.authority(authority) }, request)
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
        match tls {
            Tls::Opaque(Some(name)) => {
                let name = self.server_names.bounded(name, (self.clock)());
                Connection::new(&self.shard, labels::connection(direction, peer, target, &Tls::Opaque(Some(name))))
            }
            tls => Connection::new(&self.shard, labels::connection(direction, peer, target, &tls)),
        }
    }

    /// Policy allowed a connection whose bytes are passed on as they are.
    pub(crate) fn stream_permitted(&self, arrival: &Arrival, permit: &Permit<'_>) {
        self.count(&families::TCP_ALLOW, &labels::inbound(arrival, permit.server, None, Some(permit.authorization)));
        if permit.is_audited() {
            let (direction, target, peer) = (Direction::Inbound.name(), arrival.target, arrival.remote);
            info!(target: LOG, direction, %peer, client = %arrival.client, %target, server = permit.server.name(), "connection audited");
        }
    }

    /// Policy denied one. `stream_refused` tells the rest.
    pub(crate) fn stream_denied(&self, arrival: &Arrival, denied: &Denied) {
        self.count(&families::TCP_DENY, &labels::inbound(arrival, &denied.server, None, None));
    }

    /// A change of policy ended one that it had allowed. `stream_refused` tells the rest.
    pub(crate) fn stream_terminated(&self, arrival: &Arrival, denied: &Denied) {
        self.count(&families::TCP_TERMINATE, &labels::inbound(arrival, &denied.server, None, None));
    }

    /// A connection went no further.
    pub(crate) fn stream_refused(&self, direction: Direction, remote: SocketAddr, target: SocketAddr, refusal: &Refusal) {
        self.count(direction.tcp_errors(), &labels::target(labels::refusal(refusal), target));
        let Refusal { stage, blame, retry, cause, reason } = refusal;
        let (error, stage, blame, retry) = (cause.label(), stage.name(), blame.name(), retry.name());
        info!(target: LOG, direction = direction.name(), %remote, %target, error, stage, blame, retry, %reason, "connection refused");
    }

    /// A connection whose bytes were passed on as they are has ended. A side that broke off counts as an error.
    pub(crate) fn stream_ended(&self, direction: Direction, remote: SocketAddr, target: SocketAddr, carried: &Carried) {
        let Carried { up, down, end } = carried;
        if let Some((error, blame)) = end.error() {
            self.count(direction.tcp_errors(), &labels::target(labels::broken_stream(error, blame), target));
        }
        debug!(target: LOG, direction = direction.name(), %remote, %target, up, down, %end, "connection ended");
    }

    /// Lets go of the handles that were not used since the last call.
    pub(crate) fn sweep(&self) {
        self.hops.sweep();
        self.routes.sweep();
    }

    fn authority(&self, named: &str) -> Rc<str> {
        let mut last = self.authority.borrow_mut();
        if **last != *named {
            *last = named.into();
        }
        last.clone()
    }

    /// For what is rare: the handle is not kept.
    fn count(&self, family: &'static Family, labels: &Labels) {
        self.shard.counter(family, labels).add(1);
    }

    fn hop(&self, key: Key, make: impl FnOnce() -> (Labels, Kept)) -> Rc<Hop> {
        self.hops.get(key, || {
            let (labels, kept) = make();
            (Hop::new(&self.shard, labels), kept)
        })
    }

    fn route(&self, direction: Direction, parent: &Meta, route: Option<&Meta>, kind: RouteKind) -> Rc<Route> {
        let grpc = kind == RouteKind::Grpc;
        // A document is a parent on one side only, so the direction is no part of the key.
        self.routes.get(Key::Route { parent: parent.into(), route: route.map(Address::from), grpc }, || {
            let handles = Route::new(&self.shard, direction, grpc, labels::route(parent, route));
            (handles, Kept::metas([parent].into_iter().chain(route)))
        })
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

/// The log target, so that exchanges can be turned on alone.
const LOG: &str = "weft::exchange";

#[cfg(test)]
mod tests;
