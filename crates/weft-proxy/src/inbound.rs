//! Inbound traffic, stage by stage: accept, transport, identify, detect, authorize, route, connect.
//!
//! This file only calls. Who may send what is weft-core's to say; a request without its permit has no way to a route.

use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderValue, Request};
use weft_core::detect::Kind;
use weft_core::headers::{self, Party};
use weft_core::identity::Client;
use weft_core::model::{InboundPolicy, InboundProtocol};
use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};
use weft_core::policy::{Denied, UnderWay};
use weft_core::{policy, route};

use crate::accept::Accepted;
use crate::account::{Arrival, Direction, Record};
use crate::bell::Bell;
use crate::http::answer::{self, Stopped};
use crate::http::h2::{KeepAlive, Tuning};
use crate::http::refuse::Asked;
use crate::http::{Message, Version, orig_proto, serve};
use crate::io::Io;
use crate::live::Live;
use crate::send::{self, Answering, Target, Terms};
use crate::transport::{self, Arrived};
use crate::worker::Worker;
use crate::{detect, relay};

/// An inbound connection whose client is known.
struct Inbound {
    worker: Rc<Worker>,
    from: Arrival,
    /// Each request loads the policy then in force.
    port: Rc<Live<Arc<InboundPolicy>>>,
    /// Rings when that has changed, so that what is under way is judged again.
    changed: Bell,
}

/// Serves one connection to this workload.
pub(crate) async fn serve(accepted: Accepted, worker: Rc<Worker>) -> Result<(), Refusal> {
    let Arrived { io, arrival: from, opaque } = transport::open(accepted, &worker).await?;
    let port = worker.port(from.target.port());
    let policy = port.load();
    let connection = Rc::new(Inbound { worker, from, port, changed: Bell::default() });
    let (kind, io) = match detection(&policy.protocol, opaque, &connection.worker) {
        Some(timeout) => detect::http(io, timeout).await?,
        None => (Kind::Opaque, io),
    };
    match kind {
        Kind::Http1 => serve_http(connection, io, Version::H1).await,
        Kind::Http2 => serve_http(connection, io, Version::H2).await,
        Kind::Tls { .. } | Kind::Opaque => forward_bytes(&connection, io).await,
    }
}

async fn serve_http(connection: Rc<Inbound>, io: Io, version: Version) -> Result<(), Refusal> {
    let settings = &connection.worker.settings;
    let keep_alive = KeepAlive { interval: settings.inbound_http2_keep_alive_interval, timeout: settings.inbound_http2_keep_alive_timeout };
    let stopping = connection.worker.drain.signal();
    let windows = connection.worker.windows();
    let tuning = Tuning { keep_alive: Some(keep_alive), windows: if io.is_meshed() { windows } else { windows.fixed() } };
    let serving = serve::run(io, version, tuning, stopping, |message| exchange(connection.clone(), message));
    tokio::select! {
        biased;
        () = announce_changes(&connection) => Ok(()),
        served = serving => served,
    }
}

/// Rings for every change of the port's policy; never resolves.
async fn announce_changes(connection: &Inbound) {
    loop {
        connection.port.changed().await;
        // Taken in here as well, or the next turn would find the same change again and nobody else would get to run.
        connection.port.load();
        connection.changed.ring();
    }
}

/// One request: authorize, route, connect. Its record accounts for whatever comes of it.
async fn exchange(connection: Rc<Inbound>, mut message: Box<Message>) {
    let worker = &*connection.worker;
    let request = &mut message.request;
    let asked = Asked::of(request.version(), request.headers());
    let mut record = worker.accounts.inbound(&connection.from, request);
    let client = party(&connection.from);
    let _place = match worker.inbound.enter() {
        Ok(place) => place,
        Err(refusal) => return answer::stop(refusal.into(), message.sink, asked, client, &mut record).await,
    };
    let policy = connection.port.load();
    match admit(&connection, &policy, request, &mut record) {
        Ok((answering, under_way)) => {
            let application = Target::One(worker.application(connection.from.target));
            let terms = Terms::default();
            let ended = tokio::select! {
                biased;
                ended = send::request(worker, &application, message, &terms, &answering, &mut record) => Ok(ended),
                denied = no_longer_permitted(&connection, &under_way) => Err(denied),
            };
            match ended {
                Ok(ended) => answer::settle(ended, asked, client, &mut record).await,
                // Both ends of the exchange are gone by now, with a reset: what was carried is not the whole.
                Err(denied) => record.terminated(&denied),
            }
        }
        Err(stopped) => answer::stop(stopped, message.sink, asked, client, &mut record).await,
    }
}

/// Resolves when a change of policy takes the permission of a request under way.
async fn no_longer_permitted(connection: &Inbound, under_way: &UnderWay) -> Denied {
    let from = &connection.from;
    loop {
        connection.changed.rung().await;
        if let Err(denied) = policy::again(&connection.port.load(), &from.client, from.remote.ip(), under_way) {
            return denied;
        }
    }
}

/// The stages authorize and route. Returns what the answer passes on its way back, and what is kept to judge the request again.
fn admit<'a>(
    connection: &Inbound,
    policy: &'a InboundPolicy,
    request: &mut Request<()>,
    record: &mut Record,
) -> Result<(Answering<'a>, UnderWay), Stopped> {
    let from = &connection.from;
    let carried = trust_only_the_mesh(from, request)?;
    let permit = policy::http(policy, &from.client, from.remote.ip(), request).inspect_err(|denied| record.denied(denied))?;
    record.permitted(&permit);
    let under_way = UnderWay::of(policy, request);
    let routed = route::inbound(permit);
    route::apply_request(routed.filters, routed.matched, request, || connection.worker.random())?;
    Ok((Answering { filters: [routed.filters, &[]], carried }, under_way))
}

/// Takes headers that only a proxy may set from proxies only: the carried version, and who the client is. Returns whether the request
/// was HTTP/1 before the client's proxy carried it.
fn trust_only_the_mesh(from: &Arrival, request: &mut Request<()>) -> Result<bool, Refusal> {
    let sender = party(from);
    if sender != Party::Peer && orig_proto::hides_a_host(request) {
        return Err(Refusal::new(Stage::Transport, Blame::Client, Retry::Safe, Cause::BadRequest(400), "host and :authority differ"));
    }
    headers::strip_request(request.headers_mut(), sender);
    let carried = match sender {
        Party::Peer => orig_proto::restore(request)
            .map_err(|unfit| Refusal::new(Stage::Transport, Blame::Client, Retry::Safe, Cause::BadRequest(400), unfit.0))?,
        Party::Application | Party::Stranger => None,
    };
    if let Client::Identified(identity) = &from.client
        && let Ok(value) = HeaderValue::from_str(identity.as_str())
    {
        request.headers_mut().insert(headers::CLIENT_ID, value);
    }
    Ok(carried.is_some())
}

fn party(from: &Arrival) -> Party {
    match from.client {
        Client::Identified(_) => Party::Peer,
        Client::TlsAnonymous | Client::Plaintext => Party::Stranger,
    }
}

/// A connection that is passed on as bytes: one decision for the whole of it, ended when policy no longer allows it.
async fn forward_bytes(connection: &Inbound, io: Io) -> Result<(), Refusal> {
    let Inbound { worker, from, port, .. } = connection;
    // Looking at the first bytes may have taken a while.
    let policy = port.load();
    let permit = policy::stream(&policy, &from.client, from.remote.ip()).inspect_err(|denied| {
        worker.accounts.stream_denied(from, denied);
        io.abort();
    })?;
    worker.accounts.stream_permitted(from, &permit);
    let application = Target::One(worker.application(from.target));
    let (upstream, _in_flight) = send::stream(worker, &application).await.inspect_err(|_| io.abort())?;
    tokio::select! {
        biased;
        denied = revoked(port, from) => {
            worker.accounts.stream_terminated(from, &denied);
            Err(Refusal { retry: Retry::Unsafe, ..denied.into() })
        }
        carried = relay::run(io, upstream) => {
            worker.accounts.stream_ended(Direction::Inbound, from.remote, from.target, &carried);
            Ok(())
        }
    }
}

/// Resolves when a change of policy takes the permission away.
async fn revoked(port: &Live<Arc<InboundPolicy>>, from: &Arrival) -> Denied {
    loop {
        let changed = port.changed();
        if let Err(denied) = policy::stream(&port.load(), &from.client, from.remote.ip()) {
            return denied;
        }
        changed.await;
    }
}

/// How long to look for HTTP; `None`: the port takes bytes, or the bytes are known to be foreign TLS.
fn detection(protocol: &InboundProtocol, opaque: bool, worker: &Worker) -> Option<std::time::Duration> {
    match protocol {
        _ if opaque => None,
        InboundProtocol::Opaque | InboundProtocol::Tls => None,
        InboundProtocol::Detect { timeout, .. } => Some(*timeout),
        InboundProtocol::Http1(_) | InboundProtocol::Http2(_) | InboundProtocol::Grpc(_) => Some(worker.settings.inbound_detect_timeout),
    }
}
