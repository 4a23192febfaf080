//! The connect stage: connections to one peer, be it the application or another workload's proxy.
//!
//! Opens them (mesh TLS and transport header where the endpoint has an identity), keeps the idle ones and shares those that carry many
//! requests. It never chooses between peers and never sends a request: `balance` and `http::exchange` do.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tokio::io::AsyncWriteExt;
use weft_core::model::{Endpoint, ServerIdentity};
use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};
use weft_core::transport_header::{SessionProtocol, TransportHeader};

use crate::account::Direction;
use crate::clock;
use crate::http::h2::{KeepAlive, Tuning, Windows};
use crate::http::{Upstream, Version, h1, h2};
use crate::io::Io;
use crate::socket;
use crate::tls::{self, Absence, Alpn, Mesh};
use crate::worker::Worker;

/// How connections of one direction are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) direction: Direction,
    pub(crate) options: socket::Options,
    pub(crate) timeout: Duration,
    /// How long an idle HTTP/1 connection is kept.
    pub(crate) idle: Duration,
    /// Idle HTTP/1 connections kept to one peer by one worker.
    pub(crate) most_idle: usize,
    pub(crate) windows: Windows,
}

/// A TLS handshake is answered by a living proxy at once; the limit is for one that hangs.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// HTTP/2 connections to one peer by one worker: more than one only where the peer limits streams.
const SHARED: usize = 8;

/// One address that connections go to, with those that are open.
pub(crate) struct Peer {
    pub(crate) endpoint: Arc<Endpoint>,
    /// Where it may be found when the address refuses: see `or_at`.
    other: Option<SocketAddr>,
    /// Whether it was found there last.
    at_other: Cell<bool>,
    way: Way,
    shared: RefCell<Vec<h2::client::Connection>>,
    /// Taken while a shared connection is opened, so that a burst of requests opens one.
    opening: tokio::sync::Mutex<()>,
    idle: RefCell<Vec<(h1::client::Connection, Instant)>>,
    configured: RefCell<Option<Configured>>,
    /// Connects that failed in a row.
    failures: Cell<u32>,
    /// Connects that ended, well or not, and why the last one failed.
    attempts: Cell<u32>,
    refused: RefCell<Option<Refusal>>,
}

/// The client configuration made under one certificate; its tickets die with it.
struct Configured {
    mesh: Arc<Mesh>,
    alpn: Alpn,
    config: Arc<ClientConfig>,
}

/// What is spoken on a fresh connection, for the transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    Http(Version),
    Bytes,
}

/// Which connections will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Any,
    /// One that has carried nothing yet; of HTTP/2, one that is not known to end.
    Fresh,
    /// One whose server has said how many requests it takes. Before that, servers refuse requests for reasons that concern nobody else.
    Settled,
}

impl Peer {
    pub(crate) fn new(endpoint: Arc<Endpoint>, way: Way) -> Self {
        Peer {
            endpoint,
            other: None,
            at_other: Cell::new(false),
            way,
            shared: RefCell::default(),
            opening: tokio::sync::Mutex::default(),
            idle: RefCell::default(),
            configured: RefCell::default(),
            failures: Cell::new(0),
            attempts: Cell::new(0),
            refused: RefCell::default(),
        }
    }

    /// The same program can be reached at its address of the other family, where it listens on that one only. Nothing is asked of
    /// it first, and once it is found there it is looked for there first.
    pub(crate) fn or_at(mut self, other: Option<SocketAddr>) -> Self {
        self.other = other;
        self
    }

    /// Connects that failed in a row; 0 after one that worked.
    pub(crate) fn failures(&self) -> u32 {
        self.failures.get()
    }

    /// A connection that takes one request.
    pub(crate) async fn http(&self, version: Version, age: Age, worker: &Worker) -> Result<Upstream, Refusal> {
        match self.kept(version, age) {
            Some(kept) => Ok(kept),
            // On the heap: nearly every request finds a connection, and room for opening one is moved about with it.
            None => Box::pin(self.opened(version, age, worker)).await,
        }
    }

    /// One that is there already.
    fn kept(&self, version: Version, age: Age) -> Option<Upstream> {
        match (version, age) {
            (Version::H1, Age::Fresh) | (Version::H2, Age::Settled) => None,
            (Version::H1, _) => self.idle().map(Upstream::H1),
            (Version::H2, _) => self.open_shared().map(Upstream::H2),
        }
    }

    async fn opened(&self, version: Version, age: Age, worker: &Worker) -> Result<Upstream, Refusal> {
        match version {
            Version::H1 => {
                let io = self.open(Session::Http(Version::H1), worker).await?;
                Ok(Upstream::H1(h1::client::Connection::new(io)))
            }
            Version::H2 => {
                let connection = self.http2(worker).await?;
                if age == Age::Settled {
                    connection.settled().await;
                }
                Ok(Upstream::H2(connection))
            }
        }
    }

    /// A connection of its own, for bytes.
    pub(crate) async fn stream(&self, worker: &Worker) -> Result<Io, Refusal> {
        self.open(Session::Bytes, worker).await
    }

    /// Takes back an HTTP/1 connection after an exchange; one that cannot carry another is closed.
    pub(crate) fn give_back(&self, connection: h1::client::Connection) {
        let now = clock::lately();
        self.sweep(now);
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.way.most_idle && connection.is_reusable() {
            idle.push((connection, now));
        }
    }

    /// Closes idle HTTP/1 connections that were kept for long enough.
    pub(crate) fn sweep(&self, now: Instant) {
        // The oldest come first, so that those that are kept need no look: this is done after every exchange.
        let mut idle = self.idle.borrow_mut();
        let old = idle.partition_point(|(_, since)| now.saturating_duration_since(*since) >= self.way.idle);
        idle.drain(..old);
    }

    /// The newest first: it is the least likely to be closed by the server, and the others may run out.
    fn idle(&self) -> Option<h1::client::Connection> {
        let now = clock::lately();
        let mut idle = self.idle.borrow_mut();
        while let Some((connection, since)) = idle.pop() {
            if now.saturating_duration_since(since) < self.way.idle && connection.is_reusable() {
                return Some(connection);
            }
        }
        None
    }

    async fn http2(&self, worker: &Worker) -> Result<h2::client::Connection, Refusal> {
        if let Some(connection) = self.open_shared() {
            return Ok(connection);
        }
        let before = self.attempts.get();
        let _opening = self.opening.lock().await;
        if let Some(connection) = self.open_shared() {
            return Ok(connection);
        }
        if self.attempts.get() != before
            && let Some(refusal) = &*self.refused.borrow()
        {
            // Those who waited for an attempt share its failure; one after the other they would wait out one timeout each.
            return Err(refusal.clone());
        }
        let io = self.open(Session::Http(Version::H2), worker).await?;
        let connection = h2::client::connect(io, Tuning { keep_alive: self.keep_alive(), windows: self.way.windows })
            .await
            .map_err(|broken| self.failed(Cause::ConnectFailed, format!("HTTP/2 with {} could not begin: {broken}", self.endpoint.addr)))?;
        self.shared.borrow_mut().push(connection.clone());
        Ok(connection)
    }

    /// The open connection with the fewest streams, unless all are full and another may be opened.
    fn open_shared(&self) -> Option<h2::client::Connection> {
        let mut shared = self.shared.borrow_mut();
        shared.retain_mut(|connection| connection.is_open());
        let least = shared.iter().min_by_key(|connection| connection.streams())?;
        (least.has_room() || shared.len() >= SHARED).then(|| least.clone())
    }

    fn keep_alive(&self) -> Option<KeepAlive> {
        let params = &self.endpoint.http2;
        Some(KeepAlive { interval: params.keep_alive_interval?, timeout: params.keep_alive_timeout? })
    }

    async fn open(&self, session: Session, worker: &Worker) -> Result<Io, Refusal> {
        let opened = match &self.endpoint.identity {
            Some(identity) => self.open_meshed(identity, session, worker).await,
            None => self.reach().await.map(Io::new),
        };
        self.attempts.set(self.attempts.get().wrapping_add(1));
        match opened {
            Ok(io) => {
                self.failures.set(0);
                self.refused.replace(None);
                Ok(io.counted(worker.accounts.connected(self.way.direction, &self.endpoint)))
            }
            Err(refusal) => {
                if refusal.blame == Blame::Server {
                    self.failures.set(self.failures.get().saturating_add(1));
                }
                self.refused.replace(Some(refusal.clone()));
                Err(refusal)
            }
        }
    }

    async fn open_meshed(&self, identity: &ServerIdentity, session: Session, worker: &Worker) -> Result<Io, Refusal> {
        // Not the endpoint's fault: it must not be left alone for it.
        let absent = |why: Absence| Refusal::new(Stage::Connect, Blame::Proxy, Retry::Safe, Cause::NoCertificate, why.reason());
        let mesh = worker.mesh().map_err(absent)?;
        let (addr, alpn) = match self.endpoint.transport_port {
            Some(port) => (SocketAddr::new(self.endpoint.addr.ip(), port), Alpn::Transport),
            None => (self.endpoint.addr, Alpn::None),
        };
        let config = self.configuration(identity, mesh, alpn)?;
        let stream = self.dial(addr).await?;
        let handshake = tls::connect(config, &identity.server_name, stream, clock::wall());
        let (mut io, takes_header) = tokio::time::timeout(HANDSHAKE, handshake)
            .await
            .map_err(|_| self.failed(Cause::ConnectTimeout, format!("the TLS handshake with {addr} took too long")))?
            .map_err(|error| self.failed(Cause::ConnectFailed, format!("the TLS handshake with {addr} failed: {error}")))?;
        if alpn == Alpn::Transport {
            if !takes_header {
                return Err(self.failed(Cause::ConnectFailed, format!("{addr} does not take a transport header")));
            }
            io.write_all(&self.header(session).encode())
                .await
                .map_err(|error| self.failed(Cause::ConnectFailed, format!("{addr} closed before the transport header: {error}")))?;
        }
        Ok(io)
    }

    fn header(&self, session: Session) -> TransportHeader {
        let protocol = match session {
            Session::Http(Version::H1) => Some(SessionProtocol::Http1),
            Session::Http(Version::H2) => Some(SessionProtocol::Http2),
            Session::Bytes => None,
        };
        TransportHeader { port: self.endpoint.addr.port(), name: self.endpoint.authority.as_deref().map(str::to_owned), protocol }
    }

    fn configuration(&self, identity: &ServerIdentity, mesh: Arc<Mesh>, alpn: Alpn) -> Result<Arc<ClientConfig>, Refusal> {
        let mut configured = self.configured.borrow_mut();
        if let Some(now) = configured.as_ref().filter(|now| Arc::ptr_eq(&now.mesh, &mesh) && now.alpn == alpn) {
            return Ok(now.config.clone());
        }
        let config = mesh
            .client(identity, alpn)
            .map_err(|error| self.failed(Cause::ConnectFailed, format!("this workload's certificate cannot be used: {error}")))?;
        *configured = Some(Configured { mesh, alpn, config: config.clone() });
        Ok(config)
    }

    /// When both addresses refuse, the refusal is that of the one that was asked for.
    async fn reach(&self) -> Result<tokio::net::TcpStream, Refusal> {
        let addr = self.endpoint.addr;
        let Some(other) = self.other else { return self.dial(addr).await };
        let at_other = self.at_other.get();
        let (first, second) = if at_other { (other, addr) } else { (addr, other) };
        let refused = match self.dial(first).await {
            Err(refusal) if refusal.cause == Cause::ConnectFailed => refusal,
            settled => return settled,
        };
        match self.dial(second).await {
            Ok(stream) => {
                self.at_other.set(!at_other);
                Ok(stream)
            }
            Err(refusal) => Err(if at_other { refusal } else { refused }),
        }
    }

    async fn dial(&self, addr: SocketAddr) -> Result<tokio::net::TcpStream, Refusal> {
        match tokio::time::timeout(self.way.timeout, socket::connect(addr, &self.way.options)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.failed(Cause::ConnectFailed, format!("connecting to {addr} failed: {}", plain(&error)))),
            Err(_) => Err(self.failed(Cause::ConnectTimeout, format!("connecting to {addr} took longer than {:?}", self.way.timeout))),
        }
    }

    fn failed(&self, cause: Cause, reason: String) -> Refusal {
        Refusal::new(Stage::Connect, Blame::Server, Retry::Safe, cause, reason)
    }
}

/// The error's words without the number that the standard library adds.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

#[cfg(test)]
mod tests;
