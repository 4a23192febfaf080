//! Sends one request, or one byte stream, to the peer that balance chooses; chooses again while that is safe.
//!
//! Joins the stages balance, connect and exchange: the same for both sides of the proxy and for every version. Whether an attempt is
//! followed by another is `weft_core::retry`'s to say.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use http::header::CONNECTION;
use http::{HeaderValue, Method, Request, Response};
use weft_core::headers::{self, Party};
use weft_core::model::{Endpoint, Filter, ProtocolHint, Queue, Timeouts};
use weft_core::outcome::{Blame, Cause, Class, Refusal, Retry, Stage, classify};
use weft_core::overrides::Required;
use weft_core::retry::{self, Ended, Next, Standing, UNDELIVERED};
use weft_core::route;
use weft_core::timeout::{Limit, Limits};

use crate::account::Record;
use crate::balance::{self, Balancer, InFlight, Slot};
use crate::clock;
use crate::connect::{Age, Peer};
use crate::http::exchange::{self, Done, Failed, How, Observe, Unanswered, Verdict};
use crate::http::replay::Keep;
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

    /// Whether there is anybody else to try, now.
    fn has_others(&self, tried: &[SocketAddr]) -> bool {
        match self {
            Target::Balanced { balancer, .. } => balancer.has_others(tried),
            Target::One(_) => false,
        }
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

/// How long a request may take, when it is worth another attempt, and whom it will have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: Option<retry::Policy>,
    pub(crate) required: Option<Required>,
}

/// Sends a request until it is answered, or may not be sent again.
pub(crate) async fn request(
    worker: &Worker,
    target: &Target,
    message: Message,
    terms: &Terms,
    answering: &Answering<'_>,
    record: &mut Record,
) -> Result<Done, Failed> {
    let until = terms.timeouts.request.map(|timeout| clock::now() + timeout);
    let trial =
        Trial { worker, target, terms, until, deadline: target.deadline(), last: None, tried: Vec::new(), standing: Standing::default() };
    trial.run(message, answering, record).await
}

/// A request on its way, with the two ends of its bodies.
pub(crate) struct Message {
    pub(crate) request: Request<()>,
    pub(crate) source: Source,
    pub(crate) sink: Sink,
}

/// All attempts at one request.
struct Trial<'a> {
    worker: &'a Worker,
    target: &'a Target,
    terms: &'a Terms,
    /// When the whole request is overdue.
    until: Option<Instant>,
    /// Until when it may wait for an endpoint.
    deadline: Instant,
    /// The endpoint of the attempt under way.
    last: Option<SocketAddr>,
    /// Endpoints that had it, or could not be reached, since the last pause. Empty in the ordinary case: it costs nothing.
    tried: Vec<SocketAddr>,
    standing: Standing,
}

impl Trial<'_> {
    async fn run(mut self, mut message: Message, answering: &Answering<'_>, record: &mut Record) -> Result<Done, Failed> {
        let mut age = Age::Any;
        loop {
            let until = self.until;
            let connected = tokio::select! {
                biased;
                connected = self.connect(&message.request, age) => connected,
                why = message.sink.closed() => return Err(Failed::ClientGone(why)),
                () = reached(until), if until.is_some() => Err(self.overdue_between()),
            };
            let next = match connected {
                Ok((chosen, upstream)) => {
                    record.sent(&chosen.peer().endpoint);
                    match self.attempt(chosen, upstream, message, answering, record).await? {
                        Attempted::Done(done) => return Ok(done),
                        Attempted::Again(next, returned) => {
                            message = *returned;
                            next
                        }
                    }
                }
                Err(refusal) => {
                    self.standing.whole = true;
                    match self.next(message.request.method(), Ended::Refused(&refusal)) {
                        Next::Stop(stop) => {
                            record.gave_up(stop);
                            return Err(message.refused(refusal));
                        }
                        next => next,
                    }
                }
            };
            age = if next == Next::Fresh { Age::Fresh } else { Age::Any };
            self.prepare(next, &mut message, record).await?;
        }
    }

    /// A connection to whichever peer takes one.
    async fn connect(&mut self, request: &Request<()>, age: Age) -> Result<(Chosen, Upstream), Refusal> {
        let mut chosen = self.target.choose(&self.tried, self.deadline, self.worker).await?;
        let endpoint = &chosen.peer().endpoint;
        self.last = Some(endpoint.addr);
        if let Some(required) = &self.terms.required
            && !required.is(endpoint.identity.as_ref().map(|server| &server.identity))
        {
            let reason = format!("{} does not have the identity that l5d-require-id demands", endpoint.addr);
            return Err(Refusal::new(Stage::Connect, Blame::Client, Retry::Safe, Cause::IdentityMismatch, reason));
        }
        match chosen.peer().http(version_for(endpoint, request), age, self.worker).await {
            Ok(upstream) => {
                chosen.connected();
                Ok((chosen, upstream))
            }
            Err(refusal) => {
                chosen.unreachable(&refusal, self.worker);
                Err(refusal)
            }
        }
    }

    async fn attempt(
        &mut self,
        chosen: Chosen,
        upstream: Upstream,
        message: Message,
        answering: &Answering<'_>,
        record: &mut Record,
    ) -> Result<Attempted, Failed> {
        let Message { mut request, source, sink } = message;
        let method = request.method().clone();
        let carried = match upstream.version() {
            Version::H2 if is_http1(&request) => match orig_proto::carry(&mut request) {
                Ok(version) => Some(version),
                Err(unfit) => {
                    let refusal = Refusal::new(Stage::Connect, Blame::Client, Retry::Safe, Cause::BadRequest(400), unfit.0);
                    return Err(Message { request, source, sink }.refused(refusal));
                }
            },
            _ => None,
        };
        let own = match &upstream {
            Upstream::H1(connection) => Some(connection.clone()),
            Upstream::H2(_) => None,
        };
        let mut observer = Observer { trial: self, method: &method, chosen, carried, answering, record, next: None };
        let ended = exchange::run(request, source, sink, upstream, &mut observer).await;
        let Observer { mut chosen, next, .. } = observer;
        if let Some(connection) = own {
            chosen.peer().give_back(connection);
        }
        match ended {
            Ok(exchange::Ended::Done(done)) => Ok(Attempted::Done(done)),
            Ok(exchange::Ended::Replaced(again)) => {
                Ok(Attempted::Again(next.unwrap_or(Next::Elsewhere), Message::restored(again.request, again.source, again.sink)))
            }
            Err(Failed::Unanswered(unanswered)) => {
                // A request that the client itself spoilt says nothing of the endpoint, nor does a connection that it closed idle.
                if unanswered.refusal.blame == Blame::Server && !matches!(unanswered.how, How::Stale { .. }) {
                    chosen.failed();
                }
                self.unanswered(unanswered, &method, record)
            }
            Err(Failed::BrokenOff(refusal)) => {
                if refusal.blame == Blame::Server {
                    chosen.failed();
                }
                Err(Failed::BrokenOff(refusal))
            }
            Err(gone @ Failed::ClientGone(_)) => Err(gone),
        }
    }

    fn unanswered(&mut self, unanswered: Box<Unanswered>, method: &Method, record: &mut Record) -> Result<Attempted, Failed> {
        let Unanswered { refusal, how, consumed, request, .. } = &*unanswered;
        self.standing.whole = !consumed && request.is_some();
        let ended = match how {
            How::Plainly => Ended::Refused(refusal),
            How::Stale { sent } => Ended::Stale { sent: *sent, refusal },
            How::Overdue => Ended::Overdue,
        };
        let next = self.next(method, ended);
        if let Next::Stop(stop) = next {
            record.gave_up(stop);
            return Err(Failed::Unanswered(unanswered));
        }
        record.attempt_failed(refusal);
        match *unanswered {
            Unanswered { request: Some(request), source, sink, .. } => Ok(Attempted::Again(next, Message::restored(request, source, sink))),
            unanswered => Err(Failed::Unanswered(Box::new(unanswered))),
        }
    }

    fn next(&mut self, method: &Method, ended: Ended<'_>) -> Next {
        self.tried.extend(self.last.take());
        self.standing.others = self.target.has_others(&self.tried);
        self.standing.left = self.until.map(|until| until.saturating_duration_since(clock::now()));
        retry::next(self.terms.retry.as_ref(), method, ended, self.standing, self.worker.random())
    }

    /// The request is overdue, and not on its way to anybody.
    fn overdue_between(&self) -> Refusal {
        // A retry that the policy asked for followed an attempt that somebody may have acted on.
        let retry = if self.standing.retries == 0 { Retry::Safe } else { Retry::Unsafe };
        Refusal::new(Stage::Balance, Blame::Server, retry, Cause::Timeout, Limit::Request.reason())
    }

    /// Counts another attempt and waits until it may begin.
    async fn prepare(&mut self, next: Next, message: &mut Message, record: &mut Record) -> Result<(), Failed> {
        match next {
            Next::Elsewhere | Next::Stop(_) => self.standing.undelivered += 1,
            Next::Fresh => {
                self.standing.freshened = true;
                self.tried.pop();
            }
            Next::After(pause) => {
                self.standing.retries += 1;
                record.retried();
                // The last one is passed over; those before it have had their pause.
                self.tried = self.tried.pop().into_iter().collect();
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    why = message.sink.closed() => return Err(Failed::ClientGone(why)),
                }
                self.deadline = self.target.deadline();
            }
        }
        Ok(())
    }
}

/// What an attempt leaves to do.
enum Attempted {
    Done(Done),
    Again(Next, Box<Message>),
}

impl Message {
    /// As it was before an attempt: the next peer may want another version. A request that cannot be restored was not carried.
    fn restored(mut request: Request<()>, source: Source, sink: Sink) -> Box<Self> {
        let _ = orig_proto::restore(&mut request);
        Box::new(Message { request, source, sink })
    }

    fn refused(self, refusal: Refusal) -> Failed {
        let Message { request, source, sink } = self;
        let how = How::Plainly;
        Failed::Unanswered(Box::new(Unanswered { refusal, how, sink, source, request: Some(request), consumed: false }))
    }
}

async fn reached(until: Option<Instant>) {
    match until {
        Some(until) => Box::pin(tokio::time::sleep_until(until.into())).await,
        None => std::future::pending().await,
    }
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
                if !target.has_others(&tried) || tried.len() >= UNDELIVERED {
                    return Err(refusal);
                }
            }
        }
    }
}

/// Keeps the chosen peer in memory while bytes flow.
pub(crate) struct StreamInFlight(#[expect(dead_code, reason = "held, never read")] Chosen);

/// Tells the load estimate, the record and the heads what an exchange comes to, and judges answers by what the trial has left.
struct Observer<'a, 'b> {
    trial: &'a mut Trial<'b>,
    method: &'a Method,
    chosen: Chosen,
    carried: Option<http::Version>,
    answering: &'a Answering<'a>,
    record: &'a mut Record,
    /// What follows an answer that was thrown away.
    next: Option<Next>,
}

impl Observe for Observer<'_, '_> {
    fn keep(&self, upstream: Version) -> Option<Keep> {
        let most = match (&self.trial.terms.retry, self.trial.target) {
            (Some(policy), _) => policy.max_body,
            // It may say GOAWAY, or refuse the stream, when the body is on its way already.
            (None, _) if upstream == Version::H2 => retry::MAX_BODY,
            // Its proxy may say that it was not delivered.
            (None, Target::Balanced { .. }) if self.is_peer() => retry::MAX_BODY,
            _ => return None,
        };
        Some(Keep { most, room: self.trial.worker.replay_room.clone() })
    }

    fn limits(&self) -> Limits {
        let Terms { timeouts, retry, .. } = self.trial.terms;
        let attempt = retry.as_ref().and_then(|policy| policy.timeout).map(|timeout| clock::now() + timeout);
        Limits { request: self.trial.until, attempt, response: timeouts.response, idle: timeouts.idle }
    }

    fn wants_status(&self) -> bool {
        self.trial.terms.retry.as_ref().is_some_and(|policy| !policy.grpc.is_empty() && self.trial.standing.retries < policy.limit)
    }

    fn judge(&mut self, head: &Response<()>, grpc: Option<u32>, whole: bool) -> Verdict {
        let not_delivered = self.is_peer() && headers::any(head.headers()) && head.headers().contains_key(&headers::NOT_DELIVERED);
        if not_delivered {
            self.chosen.failed();
        } else if self.trial.terms.retry.is_none() {
            return Verdict::PassOn;
        }
        self.trial.standing.whole = whole;
        let status = head.status().as_u16();
        let next = self.trial.next(self.method, Ended::Answered { status, grpc, not_delivered });
        if let Next::Stop(stop) = next {
            self.record.gave_up(stop);
            return Verdict::PassOn;
        }
        if !not_delivered {
            self.tell(head, grpc);
        }
        self.record.attempt_answered(status, grpc);
        self.next = Some(next);
        Verdict::Replace
    }

    fn informational(&mut self, head: &mut Response<()>) {
        self.translate(head);
    }

    fn response(&mut self, head: &mut Response<()>, grpc: Option<u32>) {
        self.tell(head, grpc);
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

impl Observer<'_, '_> {
    /// Whether the answer comes from a proxy that proved an identity.
    fn is_peer(&self) -> bool {
        self.chosen.peer().endpoint.identity.is_some()
    }

    /// Tells the load estimate of an answer. A proxy that says that it cannot reach its application, or was not answered by it, answers
    /// faster than any application: it must not be preferred for it.
    fn tell(&mut self, head: &Response<()>, grpc: Option<u32>) {
        let excuse = self.is_peer()
            && classify(head.status().as_u16(), grpc) == Class::Failure
            && headers::any(head.headers())
            && head.headers().contains_key(&headers::PROXY_ERROR);
        if excuse {
            self.chosen.failed();
        } else {
            self.chosen.answered();
        }
    }

    /// HTTP/1 is carried between two proxies: undone by the client's, done by the server's. What the sender may not say is taken off in
    /// between.
    fn translate(&self, head: &mut Response<()>) {
        if let Some(version) = self.carried {
            orig_proto::uncarry(head, version);
        }
        if headers::any(head.headers()) {
            headers::strip_response(head.headers_mut(), if self.is_peer() { Party::Peer } else { Party::Stranger });
            if head.headers().get(&headers::PROXY_CONNECTION).is_some_and(|value| value == "close") {
                // Another proxy wants its client to begin anew. An HTTP/2 client has no such header, and it is left off there.
                head.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
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
