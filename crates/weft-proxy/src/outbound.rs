//! Outbound traffic, stage by stage: accept, discover, detect, route, balance, connect.
//!
//! This file only calls. What a request's route is, which endpoint takes it and whether it may be sent again are weft-core's to say.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use weft_core::detect::Kind;
use weft_core::headers::{self, Party};
use weft_core::model::{Backend, BackendKind, Distribution, Endpoint, Filter, OpaqueVerdict, OutboundHttp, OutboundProtocol, OutboundRule};
use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};
use weft_core::overrides::Overrides;
use weft_core::route::{self, Matched};

use crate::accept::Accepted;
use crate::account::{Direction, Peer, Record, Tls};
use crate::control::view::Discovery;
use crate::http::answer::{self, Stopped};
use crate::http::h2::{KeepAlive, Tuning};
use crate::http::refuse::Asked;
use crate::http::{Message, Version, orig_proto, serve};
use crate::io::Io;
use crate::live::Live;
use crate::send::{self, Answering, Target, Terms};
use crate::worker::Worker;
use crate::{detect, discover, relay};

/// A connection of the local application, and what is known of where it was meant to go.
struct Outbound {
    worker: Rc<Worker>,
    client: SocketAddr,
    original: SocketAddr,
    /// Each request loads the value then in force.
    destination: Rc<Live<Option<Arc<Discovery>>>>,
}

/// Serves one connection of the local application.
pub(crate) async fn serve(accepted: Accepted, worker: Rc<Worker>) -> Result<(), Refusal> {
    let Accepted { stream, peer: client, original } = accepted;
    let destination = discover::run(original, &worker).await?;
    let discovery = destination.load();
    let connection = Rc::new(Outbound { worker, client, original, destination });
    let (kind, io) = match detection(discovery.as_deref(), &connection.worker) {
        Some(timeout) => detect::any(Io::new(stream), timeout).await?,
        None => (Kind::Opaque, Io::new(stream)),
    };
    let tls = match &kind {
        Kind::Tls { sni } => Tls::Opaque(sni.as_deref()),
        Kind::Http1 | Kind::Http2 | Kind::Opaque => Tls::No("loopback"),
    };
    let io = io.counted(connection.worker.accounts.connection(Direction::Outbound, Peer::Source, original, tls));
    match kind {
        Kind::Http1 => serve_http(connection, io, Version::H1).await,
        Kind::Http2 => serve_http(connection, io, Version::H2).await,
        Kind::Tls { .. } | Kind::Opaque => forward_bytes(&connection, discovery.as_deref(), io).await,
    }
}

fn serve_http(connection: Rc<Outbound>, io: Io, version: Version) -> impl Future<Output = Result<(), Refusal>> {
    let settings = &connection.worker.settings;
    let keep_alive = settings
        .outbound_http2_keep_alive_interval
        .map(|interval| KeepAlive { interval, timeout: settings.outbound_http2_keep_alive_timeout });
    let stopping = connection.worker.drain.signal();
    let tuning = Tuning { keep_alive, windows: connection.worker.windows().fixed() };
    serve::run(io, version, tuning, stopping, move |message| exchange(connection.clone(), message))
}

/// One request: route, balance, connect. Its record accounts for whatever comes of it.
async fn exchange(connection: Rc<Outbound>, mut message: Box<Message>) {
    let worker = &*connection.worker;
    let request = &mut message.request;
    let asked = Asked::of(request.version(), request.headers());
    let reader = if worker.settings.outbound_quiet { Party::Stranger } else { Party::Application };
    let mut record = worker.accounts.outbound(connection.original, route::authority(request), request);
    let _place = match worker.outbound.enter() {
        Ok(place) => place,
        Err(refusal) => return answer::stop(refusal.into(), message.sink, asked, reader, &mut record).await,
    };
    if orig_proto::hides_a_host(request) {
        let refusal = Refusal::new(Stage::Transport, Blame::Client, Retry::Safe, Cause::BadRequest(400), "host and :authority differ");
        return answer::stop(refusal.into(), message.sink, asked, reader, &mut record).await;
    }
    headers::strip_request(request.headers_mut(), Party::Application);
    let overrides = Overrides::take(request.headers_mut());
    let destination = match destination(&connection, request).await {
        Ok(destination) => destination,
        Err(refusal) => return answer::stop(refusal.into(), message.sink, asked, Party::Application, &mut record).await,
    };
    let discovery = destination.load();
    match way(&connection, discovery.as_deref(), request, overrides, &mut record) {
        Ok(Way { target, filters, terms }) => {
            let answering = Answering { filters, carried: false };
            let ended = send::request(worker, &target, message, &terms, &answering, &mut record).await;
            answer::settle(ended, asked, reader, &mut record).await;
        }
        Err(stopped) => answer::stop(stopped, message.sink, asked, reader, &mut record).await,
    }
}

/// What is known of where a request is to go: for an ingress controller, of what it names.
async fn destination(connection: &Outbound, request: &mut Request<()>) -> Result<Rc<Live<Option<Arc<Discovery>>>>, Refusal> {
    if connection.worker.settings.ingress
        && let Some(named) = request.headers_mut().remove(&headers::DST_OVERRIDE)
    {
        let named = named.to_str().unwrap_or_default().trim().to_ascii_lowercase();
        return discover::named(&named, &connection.worker).await;
    }
    Ok(connection.destination.clone())
}

/// Where one request goes, and the filters that its answer passes.
struct Way<'a> {
    target: Target,
    filters: [&'a [Filter]; 2],
    terms: Terms,
}

fn way<'a>(
    connection: &Outbound,
    discovery: Option<&'a Discovery>,
    request: &mut Request<()>,
    overrides: Option<Box<Overrides>>,
    record: &mut Record,
) -> Result<Way<'a>, Stopped> {
    let worker = &connection.worker;
    let Some(http) = discovery.and_then(|discovery| routes(discovery, request.version())) else {
        let required = overrides.and_then(|asked| asked.require_id);
        let terms = Terms { required, ..Terms::default() };
        return Ok(Way { target: connection.straight(discovery), filters: [&[], &[]], terms });
    };
    let matched = route::outbound(http, request, route::authority(request));
    record.routed(&http.parent, matched.as_ref().map(|matched| &matched.route.meta), http.kind);
    let Matched { rule, matched: matched_by, .. } = matched.ok_or_else(no_route)?;
    record.classes(rule.classes.as_ref());
    route::apply_request(&rule.filters, matched_by, request, || worker.random())?;
    let backend = pick_backend(&rule.backends, worker)?;
    route::apply_request(&backend.filters, matched_by, request, || worker.random())?;
    let filters = [&*rule.filters, &*backend.filters];
    Ok(Way { target: target(backend, worker)?, filters, terms: terms(http, rule, overrides, worker) })
}

/// What the rule says, and what the request asks for where the rule lets it.
fn terms(http: &OutboundHttp, rule: &OutboundRule, overrides: Option<Box<Overrides>>, worker: &Worker) -> Terms {
    let budget = http.budget.as_ref().map(|(name, terms)| worker.budget(name, *terms));
    let Some(asked) = overrides else { return Terms { timeouts: rule.timeouts, retry: rule.retry, required: None, budget } };
    let (timeouts, retry) =
        if rule.overridable { (asked.timeouts(rule.timeouts), asked.retries(rule.retry)) } else { (rule.timeouts, rule.retry) };
    Terms { timeouts, retry, required: asked.require_id, budget }
}

/// A connection that is not HTTP, or whose destination takes it as bytes.
async fn forward_bytes(connection: &Outbound, discovery: Option<&Discovery>, io: Io) -> Result<(), Refusal> {
    let worker = &*connection.worker;
    let target = match discovery {
        Some(Discovery::Policy(policy)) => opaque_target(&policy.protocol, worker),
        other => Ok(connection.straight(other)),
    };
    let (upstream, _in_flight) = match target {
        Ok(target) => send::stream(worker, &target).await,
        Err(refusal) => Err(refusal),
    }
    .inspect_err(|_| io.abort())?;
    let carried = relay::run(io, upstream).await;
    worker.accounts.stream_ended(Direction::Outbound, connection.client, connection.original, &carried);
    Ok(())
}

impl Outbound {
    /// Without routes: to the one endpoint that the address belongs to, or on to where it was meant to go.
    fn straight(&self, discovery: Option<&Discovery>) -> Target {
        Target::One(match discovery {
            Some(Discovery::Endpoint { endpoint, .. }) => self.worker.forward(endpoint),
            _ => self.worker.forward(&Arc::new(Endpoint::unmeshed(self.original))),
        })
    }
}

/// How long to look for a protocol; `None`: the destination takes bytes.
fn detection(discovery: Option<&Discovery>, worker: &Worker) -> Option<Duration> {
    match discovery {
        Some(Discovery::Policy(policy)) => match &policy.protocol {
            OutboundProtocol::Opaque(_) | OutboundProtocol::Tls(_) => None,
            OutboundProtocol::Detect { timeout, .. } => Some(*timeout),
            // Declared, and told apart all the same: HTTP/1 may come to a port that was declared for gRPC.
            OutboundProtocol::Http1(_) | OutboundProtocol::Http2(_) | OutboundProtocol::Grpc(_) => {
                Some(worker.settings.outbound_detect_timeout)
            }
        },
        Some(Discovery::Endpoint { opaque: true, .. }) => None,
        Some(Discovery::Endpoint { .. } | Discovery::Unknown) | None => Some(worker.settings.outbound_detect_timeout),
    }
}

fn routes(discovery: &Discovery, version: http::Version) -> Option<&OutboundHttp> {
    let Discovery::Policy(policy) = discovery else { return None };
    match &policy.protocol {
        OutboundProtocol::Detect { http1, http2, .. } => Some(if version == http::Version::HTTP_2 { http2 } else { http1 }),
        OutboundProtocol::Http1(http) | OutboundProtocol::Http2(http) | OutboundProtocol::Grpc(http) => Some(http),
        OutboundProtocol::Opaque(_) | OutboundProtocol::Tls(_) => None,
    }
}

fn pick_backend<'a>(distribution: &'a Distribution, worker: &Worker) -> Result<&'a Arc<Backend>, Refusal> {
    let available = |backend: &Backend| match &backend.kind {
        // One that does not exist answers its share: passing it over would hide the mistake.
        BackendKind::Forward(_) | BackendKind::Nowhere => true,
        BackendKind::Balance { path, load } => worker.balancer(path, *load).is_available(),
    };
    route::backend(distribution, available, worker.random()).ok_or_else(|| {
        Refusal::new(Stage::Route, Blame::Policy, Retry::Safe, Cause::Injected { status: 500, grpc: 13 }, "the route has no backend")
    })
}

fn target(backend: &Backend, worker: &Worker) -> Result<Target, Refusal> {
    match &backend.kind {
        BackendKind::Forward(endpoint) => Ok(Target::One(worker.forward(endpoint))),
        BackendKind::Balance { path, load } => Ok(Target::Balanced { balancer: worker.balancer(path, *load), queue: backend.queue }),
        BackendKind::Nowhere => {
            let cause = Cause::Injected { status: 500, grpc: 13 };
            Err(Refusal::new(Stage::Route, Blame::Policy, Retry::Safe, cause, "the backend of the route does not exist"))
        }
    }
}

fn opaque_target(protocol: &OutboundProtocol, worker: &Worker) -> Result<Target, Refusal> {
    let (verdict, backends) = match protocol {
        OutboundProtocol::Opaque(opaque) | OutboundProtocol::Detect { opaque, .. } => (&opaque.verdict, &opaque.backends),
        OutboundProtocol::Tls(tls) => match tls.routes.first() {
            Some(route) => (&route.verdict, &route.backends),
            None => return Err(no_route()),
        },
        OutboundProtocol::Http1(_) | OutboundProtocol::Http2(_) | OutboundProtocol::Grpc(_) => {
            let reason = "the connection is not HTTP, and its destination is declared to be";
            return Err(Refusal::new(Stage::Detect, Blame::Client, Retry::Safe, Cause::BadRequest(400), reason));
        }
    };
    let refuse = |reason: String| Refusal::new(Stage::Route, Blame::Policy, Retry::Safe, Cause::Unauthorized, reason);
    match verdict {
        OpaqueVerdict::Forward => pick_backend(backends, worker).and_then(|backend| target(backend, worker)),
        OpaqueVerdict::Forbidden => Err(refuse("the destination may not be connected to".to_owned())),
        OpaqueVerdict::Invalid(why) => Err(refuse(format!("the route of the destination is not valid: {why}"))),
    }
}

fn no_route() -> Refusal {
    Refusal::new(Stage::Route, Blame::Policy, Retry::Safe, Cause::NoRoute, "no route matches the request")
}
