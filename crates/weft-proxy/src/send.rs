//! Sends one request, or one byte stream, to the peer that balance chooses; chooses again while that is safe.
//!
//! Joins the stages balance, connect and exchange: the same for both sides of the proxy and for every version. Whether a failed attempt may
//! be repeated is in the refusal that it left.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use http::{Request, Response};
use weft_core::model::{Endpoint, Filter, ProtocolHint, Queue};
use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};
use weft_core::route;

use crate::account::Record;
use crate::balance::{self, ATTEMPTS, Balancer, InFlight, Slot};
use crate::clock;
use crate::connect::Peer;
use crate::http::exchange::{self, Done, Failed, Observe, Unanswered};
use crate::http::{Sink, Source, Upstream, Version, orig_proto};
use crate::io::Io;
use crate::worker::Worker;

/// Where requests of one route go.
#[derive(Clone)]
pub(crate) enum Target {
    Balanced { balancer: Rc<Balancer>, queue: Queue },
    One(Rc<Peer>),
}

/// The peer that was chosen for one attempt.
enum Chosen {
    Slot(Rc<Slot>, InFlight),
    One(Rc<Peer>),
}

impl Target {
    async fn choose(&self, tried: &[SocketAddr], deadline: Instant, worker: &Worker) -> Result<Chosen, Refusal> {
        match self {
            Target::One(peer) => Ok(Chosen::One(peer.clone())),
            Target::Balanced { balancer, queue } => {
                let slot = balancer.pick(tried, *queue, deadline, &mut || worker.random()).await?;
                let flight = balancer.begin(&slot);
                Ok(Chosen::Slot(slot, flight))
            }
        }
    }

    fn deadline(&self) -> Instant {
        match self {
            Target::Balanced { queue, .. } => balance::deadline(*queue),
            Target::One(_) => clock::now(),
        }
    }

    /// Whether there is anybody else to try.
    fn has_others(&self) -> bool {
        matches!(self, Target::Balanced { .. })
    }
}

impl Chosen {
    fn peer(&self) -> &Peer {
        match self {
            Chosen::Slot(slot, _) => &slot.peer,
            Chosen::One(peer) => peer,
        }
    }

    fn connected(&mut self) {
        if let Chosen::Slot(_, flight) = self {
            flight.connected();
        }
    }

    /// No connection could be opened. Says nothing of the endpoint if the fault was this proxy's.
    fn unreachable(&mut self, refusal: &Refusal, worker: &Worker) {
        if refusal.blame == Blame::Server
            && let Chosen::Slot(_, flight) = self
        {
            flight.unreachable(&worker.settings, worker.random());
        }
    }

    fn failed(&mut self) {
        if let Chosen::Slot(_, flight) = self {
            flight.failed();
        }
    }

    fn answered(&mut self) {
        if let Chosen::Slot(_, flight) = self {
            flight.answered();
        }
    }
}

/// What is done to the heads of the answer on their way to the client.
pub(crate) struct Answering<'a> {
    pub(crate) filters: [&'a [Filter]; 2],
    /// The request was HTTP/1 carried over HTTP/2, so its answer is.
    pub(crate) carried: bool,
}

/// Sends a request until it is answered, or may not be sent again.
pub(crate) async fn request(
    worker: &Worker,
    target: &Target,
    mut request: Request<()>,
    mut source: Source,
    mut sink: Sink,
    answering: &Answering<'_>,
    record: &mut Record,
) -> Result<Done, Failed> {
    let deadline = target.deadline();
    let mut tried = Vec::new();
    loop {
        let connecting = async {
            let mut chosen = target.choose(&tried, deadline, worker).await.map_err(|refusal| (None, refusal))?;
            let version = version_for(&chosen.peer().endpoint, &request);
            match chosen.peer().http(version, worker).await {
                Ok(upstream) => {
                    chosen.connected();
                    Ok((chosen, upstream))
                }
                Err(refusal) => {
                    chosen.unreachable(&refusal, worker);
                    Err((Some(chosen.peer().endpoint.addr), refusal))
                }
            }
        };
        let connected = tokio::select! {
            biased;
            connected = connecting => connected,
            why = sink.closed() => return Err(Failed::ClientGone(why)),
        };
        let (chosen, upstream) = match connected {
            Ok(connected) => connected,
            Err((Some(addr), _)) if target.has_others() && tried.len() < ATTEMPTS => {
                tried.push(addr);
                continue;
            }
            Err((_, refusal)) => {
                return Err(Failed::Unanswered(Box::new(Unanswered { refusal, sink, source, request: Some(request), consumed: false })));
            }
        };
        let addr = chosen.peer().endpoint.addr;
        record.sent(&chosen.peer().endpoint);
        match attempt(chosen, upstream, request, source, sink, answering, record).await {
            Err(Failed::Unanswered(unanswered)) if tried.len() < ATTEMPTS => {
                record.attempt_failed(&unanswered.refusal);
                (request, source, sink) = again(unanswered)?;
                tried.push(addr);
            }
            ended => return ended,
        }
    }
}

async fn attempt(
    chosen: Chosen,
    upstream: Upstream,
    mut request: Request<()>,
    source: Source,
    sink: Sink,
    answering: &Answering<'_>,
    record: &mut Record,
) -> Result<Done, Failed> {
    let carried = match upstream.version() {
        Version::H2 if is_http1(&request) => match orig_proto::carry(&mut request) {
            Ok(version) => Some(version),
            Err(unfit) => {
                let refusal = Refusal::new(Stage::Connect, Blame::Client, Retry::Safe, Cause::BadRequest(400), unfit.0);
                return Err(Failed::Unanswered(Box::new(Unanswered { refusal, sink, source, request: None, consumed: false })));
            }
        },
        _ => None,
    };
    let own = match &upstream {
        Upstream::H1(connection) => Some(connection.clone()),
        Upstream::H2(_) => None,
    };
    let mut observer = Observer { chosen, carried, answering, record };
    let ended = exchange::run(request, source, sink, upstream, &mut observer).await;
    let mut chosen = observer.chosen;
    if let Some(connection) = own {
        chosen.peer().give_back(connection);
    }
    let refusal = match &ended {
        Err(Failed::Unanswered(unanswered)) => Some(&unanswered.refusal),
        Err(Failed::BrokenOff(refusal)) => Some(refusal),
        Ok(_) | Err(Failed::ClientGone(_)) => None,
    };
    // A request that the client itself spoilt says nothing of the endpoint.
    if refusal.is_some_and(|refusal| refusal.blame == Blame::Server) {
        chosen.failed();
    }
    ended
}

/// A connection for bytes to whichever peer takes one.
pub(crate) async fn stream(worker: &Worker, target: &Target) -> Result<(Io, StreamInFlight), Refusal> {
    let deadline = target.deadline();
    let mut tried = Vec::new();
    loop {
        let mut chosen = target.choose(&tried, deadline, worker).await?;
        match chosen.peer().stream(worker).await {
            Ok(io) => {
                chosen.answered();
                return Ok((io, StreamInFlight(chosen)));
            }
            Err(refusal) => {
                chosen.unreachable(&refusal, worker);
                tried.push(chosen.peer().endpoint.addr);
                if !target.has_others() || tried.len() >= ATTEMPTS {
                    return Err(refusal);
                }
            }
        }
    }
}

/// Keeps the chosen peer in memory while bytes flow.
pub(crate) struct StreamInFlight(#[expect(dead_code, reason = "held, never read")] Chosen);

/// Tells the load estimate, the record and the heads what an exchange comes to.
struct Observer<'a> {
    chosen: Chosen,
    carried: Option<http::Version>,
    answering: &'a Answering<'a>,
    record: &'a mut Record,
}

impl Observe for Observer<'_> {
    fn informational(&mut self, head: &mut Response<()>) {
        self.translate(head);
    }

    fn response(&mut self, head: &mut Response<()>) {
        // A proxy that says that its application is not there answers faster than any application: it must not be preferred for it.
        if head.status().is_server_error() && head.headers().contains_key("l5d-proxy-error") {
            self.chosen.failed();
        } else {
            self.chosen.answered();
        }
        self.translate(head);
        for filters in self.answering.filters {
            route::apply_response(filters, head.headers_mut());
        }
        self.record.responded(head.status().as_u16());
    }

    fn request_data(&mut self, bytes: usize) {
        self.record.request_data(bytes);
    }

    fn response_data(&mut self, bytes: usize) {
        self.record.response_data(bytes);
    }
}

impl Observer<'_> {
    /// HTTP/1 is carried between two proxies: undone by the client's, done by the server's.
    fn translate(&self, head: &mut Response<()>) {
        if let Some(version) = self.carried {
            orig_proto::uncarry(head, version);
        }
        if self.answering.carried {
            orig_proto::carry_back(head);
        }
    }
}

/// HTTP/1 is carried over HTTP/2 where the other side is a proxy that takes it.
fn version_for(endpoint: &Endpoint, request: &Request<()>) -> Version {
    if !is_http1(request) {
        return Version::H2;
    }
    let carries = endpoint.identity.is_some() && endpoint.protocol == ProtocolHint::H2 && orig_proto::can_carry(request);
    if carries { Version::H2 } else { Version::H1 }
}

fn is_http1(request: &Request<()>) -> bool {
    request.version() != http::Version::HTTP_2
}

/// What is needed to send the request once more, if that is safe.
fn again(unanswered: Box<Unanswered>) -> Result<(Request<()>, Source, Sink), Failed> {
    match *unanswered {
        Unanswered { refusal, sink, source, request: Some(mut request), consumed: false } if refusal.retry == Retry::Safe => {
            // The next peer may want another version. One that cannot be restored was not carried.
            let _ = orig_proto::restore(&mut request);
            Ok((request, source, sink))
        }
        unanswered => Err(Failed::Unanswered(Box::new(unanswered))),
    }
}
