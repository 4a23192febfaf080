//! The compiled view: what one proxy knows of the mesh.
//!
//! Immutable values, made whole by `control/convert` and replaced whole. Nothing here learns, counts or changes: load averages,
//! pools and breaker states live beside the view, keyed by address and identity.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use ipnet::IpNet;
use regex::Regex;

/// Names the document that something was compiled from; the metric labels `*_group`, `*_kind`, `*_namespace`, `*_name` ... come from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Meta {
    /// A built-in default, by name.
    Default(Arc<str>),
    Resource(Arc<Resource>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    pub group: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub section: String,
    /// 0: none.
    pub port: u16,
}

impl Meta {
    pub fn default_named(name: &str) -> Self {
        Meta::Default(name.into())
    }

    pub fn group(&self) -> &str {
        match self {
            Meta::Default(_) => "",
            Meta::Resource(r) => &r.group,
        }
    }

    pub fn kind(&self) -> &str {
        match self {
            Meta::Default(_) => "default",
            Meta::Resource(r) => &r.kind,
        }
    }

    pub fn namespace(&self) -> &str {
        match self {
            Meta::Default(_) => "",
            Meta::Resource(r) => &r.namespace,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Meta::Default(name) => name,
            Meta::Resource(r) => &r.name,
        }
    }

    pub fn section(&self) -> &str {
        match self {
            Meta::Default(_) => "",
            Meta::Resource(r) => &r.section,
        }
    }

    pub fn port(&self) -> u16 {
        match self {
            Meta::Default(_) => 0,
            Meta::Resource(r) => r.port,
        }
    }
}

/// Metric labels, in the order in which they are written.
pub type Labels = BTreeMap<String, String>;

// --- endpoints -------------------------------------------------------------------------------------------------------------------

/// The endpoints of one destination at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Endpoints {
    /// Whether the destination exists at all; `false` allows the original destination address instead.
    pub exists: bool,
    pub endpoints: BTreeMap<SocketAddr, Arc<Endpoint>>,
}

/// One place that requests can be sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// The application's address and port (not its proxy's).
    pub addr: SocketAddr,
    pub weight: u32,
    /// Labels of the endpoint and of its set, without the prefix `dst_`.
    pub labels: Arc<Labels>,
    /// Present: meshed; the connection is mTLS and must prove this identity.
    pub identity: Option<ServerIdentity>,
    pub protocol: ProtocolHint,
    /// The proxy's inbound port, where a connection with a transport header is to go.
    pub transport_port: Option<u16>,
    /// Host that replaces the request's authority.
    pub authority: Option<Arc<str>>,
    pub http2: Http2Params,
    pub meta: Option<Meta>,
}

impl Endpoint {
    /// An endpoint about which nothing is known but its address: plaintext, as the application sent it.
    pub fn unmeshed(addr: SocketAddr) -> Self {
        Endpoint {
            addr,
            weight: 10_000,
            labels: Arc::default(),
            identity: None,
            protocol: ProtocolHint::Unknown,
            transport_port: None,
            authority: None,
            http2: Http2Params::default(),
            meta: None,
        }
    }
}

/// The identity that a server must prove, and the name (SNI) under which it is asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerIdentity {
    pub identity: crate::identity::Identity,
    pub server_name: Arc<str>,
}

/// What the endpoint's proxy is known to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ProtocolHint {
    /// As the client speaks it.
    #[default]
    Unknown,
    /// HTTP/1 may be carried over HTTP/2.
    H2,
    /// Bytes, whatever they look like.
    Opaque,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Http2Params {
    pub initial_stream_window: Option<u32>,
    pub initial_connection_window: Option<u32>,
    pub keep_alive_interval: Option<Duration>,
    pub keep_alive_timeout: Option<Duration>,
    pub keep_alive_while_idle: bool,
}

// --- matches and filters (shared by both sides) ------------------------------------------------------------------------------------

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostMatch {
    Exact(String),
    /// `*.example.com`, kept as labels in reverse order: `["com", "example"]`.
    Suffix(Vec<String>),
}

#[derive(Clone, Debug)]
pub enum PathMatch {
    Exact(String),
    /// Matches whole path segments (Gateway API `PathPrefix`).
    Prefix(String),
    /// Matches the whole path.
    Regex(Regex),
}

#[derive(Clone, Debug)]
pub enum ValueMatch {
    Exact(Vec<u8>),
    Regex(Regex),
}

#[derive(Clone, Debug)]
pub struct HeaderMatch {
    pub name: HeaderName,
    pub value: ValueMatch,
}

#[derive(Clone, Debug)]
pub struct QueryMatch {
    pub name: String,
    pub value: ValueMatch,
}

/// All that is present must match. An empty one matches everything.
#[derive(Clone, Debug, Default)]
pub struct HttpMatch {
    pub path: Option<PathMatch>,
    pub headers: Vec<HeaderMatch>,
    pub query: Vec<QueryMatch>,
    pub method: Option<Method>,
    /// gRPC: the service and the method of `/service/method`; an empty string matches any.
    pub rpc: Option<RpcMatch>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RpcMatch {
    pub service: String,
    pub method: String,
}

#[derive(Clone, Debug)]
pub enum Filter {
    RequestHeaders(HeaderModifier),
    ResponseHeaders(HeaderModifier),
    Redirect(Redirect),
    FailHttp { status: u16, message: Arc<str>, ratio: Ratio },
    FailGrpc { code: u32, message: Arc<str>, ratio: Ratio },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderModifier {
    pub add: Vec<(HeaderName, HeaderValue)>,
    pub set: Vec<(HeaderName, HeaderValue)>,
    pub remove: Vec<HeaderName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    pub scheme: Option<String>,
    pub host: Option<String>,
    pub path: Option<PathModifier>,
    pub port: Option<u16>,
    /// 301 unless the route says otherwise.
    pub status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathModifier {
    Full(String),
    /// Replaces the prefix that the route matched.
    Prefix(String),
}

/// Of `denominator` requests `numerator` are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    pub numerator: u32,
    pub denominator: u32,
}

impl Ratio {
    pub const ALWAYS: Ratio = Ratio { numerator: 1, denominator: 1 };
}

// --- outbound ------------------------------------------------------------------------------------------------------------------------

/// What to do with a connection to one original destination.
#[derive(Clone, Debug)]
pub struct OutboundPolicy {
    pub meta: Meta,
    pub protocol: OutboundProtocol,
}

#[derive(Clone, Debug)]
pub enum OutboundProtocol {
    Detect {
        timeout: Duration,
        http1: Arc<OutboundHttp>,
        http2: Arc<OutboundHttp>,
        opaque: Arc<OutboundOpaque>,
    },
    Http1(Arc<OutboundHttp>),
    Http2(Arc<OutboundHttp>),
    Grpc(Arc<OutboundHttp>),
    Opaque(Arc<OutboundOpaque>),
    /// TLS that is not ours; routed by SNI, passed through as bytes.
    Tls(Arc<OutboundTls>),
}

/// Whether the routes were declared as HTTPRoute or GRPCRoute: it names the metrics (`outbound_http_*`, `outbound_grpc_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteKind {
    Http,
    Grpc,
}

#[derive(Clone, Debug)]
pub struct OutboundHttp {
    /// The Service (or other parent) that the routes hang on.
    pub parent: Meta,
    pub kind: RouteKind,
    /// A profile's routes: the first whose condition holds is taken, before all others.
    pub listed: Vec<(crate::profile::Condition, OutboundRoute)>,
    pub routes: Vec<OutboundRoute>,
    /// Of what the retries of all routes are paid, by the name of the destination; none: only each rule's own limit holds.
    pub budget: Option<(Arc<str>, crate::budget::Terms)>,
}

impl OutboundHttp {
    /// Routes without a profile.
    pub fn new(parent: Meta, kind: RouteKind, routes: Vec<OutboundRoute>) -> Self {
        OutboundHttp { parent, kind, listed: Vec::new(), routes, budget: None }
    }
}

#[derive(Clone, Debug)]
pub struct OutboundRoute {
    pub meta: Meta,
    /// Empty: every host.
    pub hosts: Vec<HostMatch>,
    pub rules: Vec<OutboundRule>,
}

#[derive(Clone, Debug)]
pub struct OutboundRule {
    /// Empty: every request.
    pub matches: Vec<HttpMatch>,
    pub filters: Vec<Filter>,
    pub backends: Distribution,
    pub timeouts: Timeouts,
    pub retry: Option<crate::retry::Policy>,
    /// Whether a request's own headers may change timeouts and retries.
    pub overridable: bool,
    /// Which answers count as failures; none: as everywhere.
    pub classes: Option<Arc<crate::profile::Classes>>,
}

impl OutboundRule {
    /// Takes every request, and does nothing to it.
    pub fn to(backends: Distribution) -> Self {
        OutboundRule {
            matches: Vec::new(),
            filters: Vec::new(),
            backends,
            timeouts: Timeouts::default(),
            retry: None,
            overridable: false,
            classes: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of the request to the last of the response.
    pub request: Option<Duration>,
    /// From the end of the request to the head of the response.
    pub response: Option<Duration>,
    /// Without a byte in either direction.
    pub idle: Option<Duration>,
}

#[derive(Clone, Debug)]
pub enum Distribution {
    Empty,
    FirstAvailable(Vec<Arc<Backend>>),
    Weighted(Vec<(Arc<Backend>, u32)>),
}

#[derive(Clone, Debug)]
pub struct Backend {
    pub meta: Meta,
    pub filters: Vec<Filter>,
    pub kind: BackendKind,
    pub queue: Queue,
}

#[derive(Clone, Debug)]
pub enum BackendKind {
    /// One known endpoint.
    Forward(Arc<Endpoint>),
    /// The endpoints of a destination path (`svc.ns.svc.cluster.local:port`), balanced.
    Balance { path: Arc<str>, load: PeakEwma },
    /// A backend that does not exist. It keeps its share of the requests, which its filters answer.
    Nowhere,
}

/// Parameters of the load estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeakEwma {
    pub default_rtt: Duration,
    pub decay: Duration,
}

/// How long and how many requests may wait for a ready endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    pub capacity: usize,
    pub failfast: Duration,
}

#[derive(Clone, Debug)]
pub struct OutboundOpaque {
    pub parent: Meta,
    pub route: Meta,
    pub verdict: OpaqueVerdict,
    pub backends: Distribution,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpaqueVerdict {
    Forward,
    Forbidden,
    Invalid(Arc<str>),
}

#[derive(Clone, Debug)]
pub struct OutboundTls {
    pub parent: Meta,
    pub routes: Vec<TlsRoute>,
}

#[derive(Clone, Debug)]
pub struct TlsRoute {
    pub meta: Meta,
    pub snis: Vec<HostMatch>,
    pub verdict: OpaqueVerdict,
    pub backends: Distribution,
}

// --- inbound ---------------------------------------------------------------------------------------------------------------------------

/// What one inbound port allows, and how it is spoken to.
#[derive(Clone, Debug)]
pub struct InboundPolicy {
    pub protocol: InboundProtocol,
    /// The Server that governs the port (labels `srv_*`).
    pub server: Meta,
    pub authorizations: Vec<Arc<Authorization>>,
}

#[derive(Clone, Debug)]
pub enum InboundProtocol {
    Detect {
        timeout: Duration,
        http: Arc<InboundHttp>,
    },
    Http1(Arc<InboundHttp>),
    Http2(Arc<InboundHttp>),
    Grpc(Arc<InboundHttp>),
    Opaque,
    /// The application terminates TLS itself.
    Tls,
}

#[derive(Clone, Debug, Default)]
pub struct InboundHttp {
    pub routes: Vec<InboundRoute>,
}

#[derive(Clone, Debug)]
pub struct InboundRoute {
    pub meta: Meta,
    pub hosts: Vec<HostMatch>,
    pub rules: Vec<InboundRule>,
    /// Grants beside those of the port.
    pub authorizations: Vec<Arc<Authorization>>,
}

#[derive(Clone, Debug)]
pub struct InboundRule {
    pub matches: Vec<HttpMatch>,
    pub filters: Vec<Filter>,
}

/// One grant: who, from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    pub meta: Meta,
    /// Empty grants nobody anything.
    pub networks: Vec<Network>,
    pub authentication: Authentication,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub net: IpNet,
    pub except: Vec<IpNet>,
}

impl Network {
    pub fn contains(&self, addr: IpAddr) -> bool {
        self.net.contains(&addr) && !self.except.iter().any(|net| net.contains(&addr))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// Anybody, plaintext too.
    Unauthenticated,
    /// Anybody who came by mesh TLS, with or without a client identity.
    TlsUnauthenticated,
    /// Mesh TLS with one of these identities.
    TlsAuthenticated { identities: Vec<crate::identity::Identity>, suffixes: Vec<IdentitySuffix> },
}

/// The trailing labels of DNS-like identities, in their written order: `["ns", "serviceaccount", ...]`. Empty matches every identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentitySuffix(pub Vec<String>);
