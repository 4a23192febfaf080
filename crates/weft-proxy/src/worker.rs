//! What one worker thread owns: its view of the mesh, its connections, its balancers, its share of the metrics.
//!
//! Passed by reference to every stage; there is no global. It hands things out and decides nothing.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use weft_core::budget::{self, Budget};
use weft_core::model::{Endpoint, InboundPolicy, PeakEwma};

use crate::account::{Accounts, Direction};
use crate::balance::Balancer;
use crate::cache::Cache;
use crate::clock;
use crate::connect::{Peer, Way};
use crate::control::view::{Destination, Discovery, View};
use crate::drain::Drain;
use crate::http::h2::Windows;
use crate::limit::Limit;
use crate::live::Live;
use crate::settings::Settings;
use crate::socket;
use crate::tls::Standing;

/// Destinations, ports, peers and balancers remembered by one worker; those in use are kept beyond it.
const REMEMBERED: usize = 4096;
/// Bytes of requests' bodies kept by one worker at once, at most 64 KiB of each request unless its route says more.
const REPLAY_ROOM: usize = 16 << 20;
/// How often what is unused is looked for.
const SWEEP: Duration = Duration::from_secs(30);
/// A retry budget that nobody used for so long starts anew.
const BUDGET_IDLE: Duration = Duration::from_secs(600);

pub(crate) struct Worker {
    pub(crate) settings: Arc<Settings>,
    pub(crate) drain: Rc<Drain>,
    pub(crate) accounts: Rc<Accounts>,
    view: View,
    mesh: Live<Standing>,
    ports: Cache<u16, Live<Arc<InboundPolicy>>>,
    destinations: Cache<SocketAddr, Live<Option<Arc<Discovery>>>>,
    /// Destinations that requests name themselves.
    named: Cache<Arc<str>, Live<Option<Arc<Discovery>>>>,
    balancers: Cache<Arc<str>, Balancer>,
    applications: Cache<SocketAddr, Peer>,
    forwards: Cache<SocketAddr, Peer>,
    /// Retry budgets by the name of the destination.
    budgets: Cache<Arc<str>, RefCell<Budget>>,
    /// Requests under way.
    pub(crate) inbound: Limit,
    pub(crate) outbound: Limit,
    /// Bytes that may still be kept of requests' bodies so that they can be sent again.
    pub(crate) replay_room: Rc<Cell<usize>>,
    random: Cell<u64>,
}

impl Worker {
    /// `seed` must differ between workers and processes, or they choose alike.
    pub(crate) fn new(
        settings: Arc<Settings>,
        view: View,
        mesh: watch::Receiver<Standing>,
        accounts: Accounts,
        drain: Rc<Drain>,
        seed: u64,
    ) -> Self {
        let inbound = Limit::new(settings.inbound_max_in_flight, settings.cores);
        let outbound = Limit::new(settings.outbound_max_in_flight, settings.cores);
        Worker {
            settings,
            drain,
            accounts: Rc::new(accounts),
            view,
            mesh: Live::new(mesh),
            ports: Cache::new(REMEMBERED),
            destinations: Cache::new(REMEMBERED),
            named: Cache::new(REMEMBERED),
            balancers: Cache::new(REMEMBERED),
            applications: Cache::new(REMEMBERED),
            forwards: Cache::new(REMEMBERED),
            budgets: Cache::new(REMEMBERED),
            inbound,
            outbound,
            replay_room: Rc::new(Cell::new(REPLAY_ROOM)),
            random: Cell::new(seed | 1),
        }
    }

    /// The TLS configurations of the certificate in force.
    pub(crate) fn mesh(&self) -> Standing {
        (*self.mesh.load()).clone()
    }

    /// What is allowed on an inbound port.
    pub(crate) fn port(&self, port: u16) -> Rc<Live<Arc<InboundPolicy>>> {
        self.ports.entry(&port, clock::lately(), || Live::new(self.view.inbound(port)))
    }

    /// What is known of an original destination; `None` inside until the control plane has answered.
    pub(crate) fn destination(&self, addr: SocketAddr) -> Rc<Live<Option<Arc<Discovery>>>> {
        self.destinations.entry(&addr, clock::lately(), || Live::new(self.view.outbound(Destination::Address(addr))))
    }

    /// The same of a destination that is named.
    pub(crate) fn named(&self, name: &Arc<str>) -> Rc<Live<Option<Arc<Discovery>>>> {
        self.named.entry(name, clock::lately(), || Live::new(self.view.outbound(Destination::Name(name.clone()))))
    }

    /// The balancer of a destination path, shared by all routes that lead there.
    pub(crate) fn balancer(&self, path: &Arc<str>, load: PeakEwma) -> Rc<Balancer> {
        self.balancers
            .entry(path, clock::lately(), || Balancer::new(path.clone(), Live::new(self.view.endpoints(path)), load, self.outbound_way()))
    }

    /// The application at one of its addresses.
    pub(crate) fn application(&self, addr: SocketAddr) -> Rc<Peer> {
        self.applications.entry(&addr, clock::lately(), || {
            Peer::new(Arc::new(Endpoint::unmeshed(addr)), self.inbound_way()).or_at(self.other_family(addr))
        })
    }

    /// This workload's address of the family that `addr`, one of its own, is not of.
    fn other_family(&self, addr: SocketAddr) -> Option<SocketAddr> {
        let own = &self.settings.inbound_ips;
        let other = own.contains(&addr.ip()).then(|| own.iter().find(|ip| ip.is_ipv4() != addr.is_ipv4()))??;
        Some(SocketAddr::new(*other, addr.port()))
    }

    /// One known endpoint, without a choice.
    pub(crate) fn forward(&self, endpoint: &Arc<Endpoint>) -> Rc<Peer> {
        let make = || Peer::new(endpoint.clone(), self.outbound_way());
        let peer = self.forwards.entry(&endpoint.addr, clock::lately(), make);
        if *peer.endpoint == **endpoint {
            return peer;
        }
        // The address belongs to another workload now.
        self.forwards.replace(&endpoint.addr, clock::lately(), make())
    }

    /// This worker's part of the retry budget of a destination. It outlives changes of everything but its own terms.
    pub(crate) fn budget(&self, name: &Arc<str>, terms: budget::Terms) -> Rc<RefCell<Budget>> {
        let now = clock::lately();
        let make = || RefCell::new(Budget::new(terms, self.settings.cores, now));
        let known = self.budgets.entry(name, now, make);
        if known.borrow().terms() == terms { known } else { self.budgets.replace(name, now, make()) }
    }

    /// What HTTP/2 peers may send ahead.
    pub(crate) fn windows(&self) -> Windows {
        Windows { stream: self.settings.http2_stream_window, connection: self.settings.http2_connection_window }
    }

    /// A number nobody can rely on (xorshift64*), for choices that need no secrecy.
    pub(crate) fn random(&self) -> u32 {
        let mut x = self.random.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.random.set(x);
        (x.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32
    }

    /// Forgets from time to time what nobody uses. Ends with the worker.
    pub(crate) async fn sweep(&self) {
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            ticks.tick().await;
            let now = clock::now();
            let (outbound, inbound) = (self.settings.outbound_discovery_idle, self.settings.inbound_discovery_idle);
            self.destinations.sweep(now, outbound);
            self.named.sweep(now, outbound);
            self.balancers.sweep(now, outbound);
            self.forwards.sweep(now, outbound);
            self.budgets.sweep(now, BUDGET_IDLE);
            self.ports.sweep(now, inbound);
            self.applications.sweep(now, inbound);
            self.accounts.sweep();
            self.balancers.each(|balancer| balancer.sweep(now));
            self.forwards.each(|peer| peer.sweep(now));
            self.applications.each(|peer| peer.sweep(now));
        }
    }

    fn outbound_way(&self) -> Way {
        let s = &self.settings;
        let options = socket::Options {
            mark: s.mark,
            keepalive: Some(s.outbound_connect_keepalive),
            user_timeout: Some(s.outbound_connect_user_timeout),
            application: false,
        };
        Way {
            direction: Direction::Outbound,
            options,
            timeout: s.outbound_connect_timeout,
            idle: s.outbound_pool_idle,
            most_idle: s.outbound_pool_most,
            windows: self.windows(),
        }
    }

    fn inbound_way(&self) -> Way {
        let s = &self.settings;
        let options = socket::Options {
            mark: s.mark,
            keepalive: s.inbound_connect_keepalive,
            user_timeout: s.inbound_connect_user_timeout,
            application: true,
        };
        Way {
            direction: Direction::Inbound,
            options,
            timeout: s.inbound_connect_timeout,
            idle: s.inbound_pool_idle,
            most_idle: s.inbound_pool_most,
            windows: self.windows().fixed(),
        }
    }
}
