//! One request goes to one upstream, and its answer comes back: the only place where that happens, for every pair of versions.
//!
//! Both bodies flow at the same time in the caller's task, each no faster than its receiver takes it. An answer may come before the request
//! is complete; a client that goes away cancels the request; a server that breaks off breaks the answer off, so that nobody takes a part
//! for the whole. It never chooses an upstream, never repeats a request and never makes up an answer: see `refuse` for that.

mod bodies;
mod ended;

use std::cell::RefCell;
use std::pin::{Pin, pin};

use http::header::EXPECT;
use http::{Method, Request, Response, StatusCode};
use weft_core::outcome::Refusal;
use weft_core::timeout::Limits;

use self::bodies::{Side, download, grpc_status, upload};
pub(crate) use self::ended::{Again, Done, Ended, Failed, How, Unanswered};
use self::ended::{bad_request, not_sent, overdue, server_broke};
use super::patience::Patience;
use super::refuse::is_grpc;
use super::replay::{Keep, Replay, Tape};
use super::{Broken, Frame, NotSent, Pending, Reason, Reply, Sink, Source, Upstream, Version};
use crate::io::Io;
use crate::relay;

/// Is told what happens, when it happens; reads the clock if it wants to. May change the heads on their way to the client.
pub(crate) trait Observe {
    /// What is kept of the request, so that it can be sent again after an answer that is replaced; none: nothing.
    fn keep(&self, _upstream: Version) -> Option<Keep> {
        None
    }
    /// How long the exchange may take.
    fn limits(&self) -> Limits {
        Limits::default()
    }
    /// Whether `judge` needs the status of a gRPC answer that ends with its head or right after it. To wait for it holds the head back.
    fn wants_status(&self) -> bool {
        false
    }
    /// The head of a final response has come. `whole`: the request can be sent again as it was.
    fn judge(&mut self, _head: &Response<()>, _grpc: Option<u32>, _whole: bool) -> Verdict {
        Verdict::PassOn
    }
    /// A 1xx response is about to be passed on.
    fn informational(&mut self, _head: &mut Response<()>) {}
    /// The final response's head is about to be passed on. `grpc`: its status, if that is known already.
    fn response(&mut self, _head: &mut Response<()>, _grpc: Option<u32>) {}
    /// Bytes of the request's body were taken by upstream.
    fn request_data(&mut self, _bytes: usize) {}
    /// Bytes of the response's body have come. The first call is the first byte.
    fn response_data(&mut self, _bytes: usize) {}
    /// The request is complete at upstream.
    fn request_end(&mut self) {}
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    PassOn,
    /// It is thrown away; the caller asks somebody else.
    Replace,
}

/// Runs one exchange to its end. Heads are passed on as they are, except for what belongs to one connection and what `observer` changes.
/// Dropping the future cancels the request and breaks the answer off.
pub(crate) async fn run(
    request: Request<()>,
    mut source: Source,
    mut sink: Sink,
    upstream: Upstream,
    observer: &mut impl Observe,
) -> Result<Ended, Failed> {
    let keep = observer.keep(upstream.version());
    let mut limits = observer.limits();
    limits.body = limits.body.filter(|_| sink.version() == Version::H1 && !source.is_end());
    let patience = Patience::new(limits, limits.body.is_some() && request.headers().contains_key(EXPECT));
    // HTTP/1 gives the head back; HTTP/2 does not, and can say that it has not acted on a request.
    let copied = upstream.version() == Version::H2 && (keep.is_some() || source.is_end());
    let kept = copied.then(|| request.clone());
    let over = if *request.method() == Method::CONNECT { Over::BothWays } else { Over::WithAnswer };
    let sent = tokio::select! {
        biased;
        sent = upstream.send(request, source.is_end()) => sent,
        why = sink.closed() => return Err(Failed::ClientGone(why)),
        limit = patience.over(), if patience.is_limited() => {
            let (refusal, how) = overdue(limit);
            return Err(Failed::Unanswered(Box::new(Unanswered { refusal, how, sink, source, request: kept, consumed: false })));
        }
    };
    let (outgoing, pending) = match sent {
        Ok(sent) => sent,
        Err(NotSent { request, why }) => {
            let how = if matches!(why, Broken::Closed) { How::Stale { sent: false } } else { How::of(&why) };
            let unanswered = Unanswered { refusal: not_sent(&why), how, sink, source, request: Some(request), consumed: false };
            return Err(Failed::Unanswered(Box::new(unanswered)));
        }
    };
    let (observer, tape) = (RefCell::new(observer), RefCell::new(Tape::new(keep)));
    let ended = {
        let upload = pin!(upload(&mut source, outgoing, &observer, &tape, &patience));
        Exchange { observer: &observer, tape: &tape, patience: &patience, copied, over }.answer(pending, upload, sink).await
    };
    let tape = tape.into_inner();
    match ended {
        Ok(done) => Ok(Ended::Done(done)),
        Err(Broke::Replaced { sink, request }) => match request.or(kept) {
            Some(request) => Ok(Ended::Replaced(Box::new(Again { request, source: tape.rewind(source), sink }))),
            None => unreachable!("an answer is replaced only if the request was kept"),
        },
        Err(Broke::Unanswered { refusal, how, sink, request }) => {
            let (consumed, source) = if tape.is_whole() { (false, tape.rewind(source)) } else { (true, source) };
            Err(Failed::Unanswered(Box::new(Unanswered { refusal, how, sink, source, request: request.or(kept), consumed })))
        }
        Err(Broke::Off(refusal)) => Err(Failed::BrokenOff(refusal)),
        Err(Broke::Gone(why)) => Err(Failed::ClientGone(why)),
    }
}

/// How it did not end, while the request's body is still borrowed.
enum Broke {
    Unanswered { refusal: Refusal, how: How, sink: Sink, request: Option<Request<()>> },
    Replaced { sink: Sink, request: Option<Request<()>> },
    Off(Refusal),
    Gone(Broken),
}

/// What the parts of one exchange share.
struct Exchange<'a, O> {
    observer: &'a RefCell<&'a mut O>,
    tape: &'a RefCell<Tape>,
    patience: &'a Patience,
    /// The head of the request was copied before it went away.
    copied: bool,
    over: Over,
}

/// When an exchange is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    /// What is left of the request's body then is wanted by nobody.
    WithAnswer,
    /// After a successful CONNECT either side may end its bytes before the other.
    BothWays,
}

impl<O: Observe> Exchange<'_, O> {
    /// Passes the answer on, up to its final head; the request's body flows meanwhile.
    async fn answer(
        &self,
        mut pending: Pending,
        mut upload: Pin<&mut impl Future<Output = Result<(), Broken>>>,
        mut sink: Sink,
    ) -> Result<Done, Broke> {
        let mut uploading = true;
        loop {
            tokio::select! {
                biased;
                sent = &mut upload, if uploading => match sent {
                    Ok(()) => uploading = false,
                    Err(why) => return Err(spoilt(why, pending, sink)),
                },
                reply = pending.next() => match reply {
                    Ok(Reply::Informational(mut head)) => {
                        // From here on the client has heard of this attempt.
                        self.tape.borrow_mut().lose();
                        if head.status() == StatusCode::CONTINUE {
                            self.patience.goes_on();
                        }
                        self.observer.borrow_mut().informational(&mut head);
                        if let Err(why) = sink.informational(head).await {
                            pending.abort(&why);
                            return Err(Broke::Gone(why));
                        }
                    }
                    Ok(Reply::Final(head, body)) => {
                        let upload = uploading.then_some(upload);
                        return self.judged(head, body, pending.request(), upload, sink).await;
                    }
                    Ok(Reply::Upgraded(mut head, server)) => {
                        self.observer.borrow_mut().response(&mut head, None);
                        return upgrade(head, server, sink).await;
                    }
                    Err(why) => return Err(no_answer(&why, pending.request(), sink)),
                },
                why = sink.closed() => {
                    pending.abort(&why);
                    return Err(Broke::Gone(why));
                }
                limit = self.patience.over(), if self.patience.is_limited() => {
                    let ((refusal, how), request) = (overdue(limit), pending.request());
                    pending.abort(&Broken::Reset(Reason::CANCEL));
                    return Err(Broke::Unanswered { refusal, how, sink, request });
                }
            }
        }
    }

    /// The final head has come: it goes on to the client, unless the observer wants another answer in its place.
    async fn judged(
        &self,
        mut head: Response<()>,
        mut body: Source,
        request: Option<Request<()>>,
        mut upload: Option<Pin<&mut impl Future<Output = Result<(), Broken>>>>,
        mut sink: Sink,
    ) -> Result<Done, Broke> {
        self.patience.heard();
        let mut grpc = grpc_status(head.headers());
        if grpc.is_none() && !body.is_end() && is_grpc(head.headers()) && self.observer.borrow().wants_status() {
            let first = tokio::select! {
                biased;
                first = self.first(&mut body, &mut upload) => first,
                why = sink.closed() => Err(Side::Client(why)),
            };
            match first {
                Ok(None) => body = Source::Empty,
                Ok(Some(frame)) => {
                    if let Frame::Trailers(trailers) = &frame {
                        grpc = grpc_status(trailers);
                        body = Source::Empty;
                    }
                    body = Replay::before([frame], body);
                }
                Err(Side::Client(why)) => {
                    body.abort(&why);
                    return Err(Broke::Gone(why));
                }
                Err(Side::Server(refusal)) => return Err(Broke::Unanswered { refusal, how: How::Plainly, sink, request }),
                Err(Side::Late(limit)) => {
                    let (refusal, how) = overdue(limit);
                    return Err(Broke::Unanswered { refusal, how, sink, request });
                }
            }
        }
        let whole = self.tape.borrow().is_whole() && (self.copied || request.is_some());
        if self.observer.borrow_mut().judge(&head, grpc, whole) == Verdict::Replace {
            body.abort(&Broken::Reset(Reason::CANCEL));
            return Err(Broke::Replaced { sink, request });
        }
        // Nothing is sent again from here on.
        self.tape.borrow_mut().lose();
        self.patience.answered();
        self.observer.borrow_mut().response(&mut head, grpc);
        self.finish(head, body, upload, sink).await
    }

    /// The first piece of an answer's body; the request's body flows meanwhile.
    async fn first(
        &self,
        body: &mut Source,
        upload: &mut Option<Pin<&mut impl Future<Output = Result<(), Broken>>>>,
    ) -> Result<Option<Frame>, Side> {
        loop {
            tokio::select! {
                biased;
                sent = async { upload.as_mut().expect("asked for below").await }, if upload.is_some() => match sent {
                    Ok(()) => *upload = None,
                    Err(why) => return Err(Side::Client(why)),
                },
                frame = body.frame() => return frame.map_err(|why| Side::Server(server_broke(&why))),
                limit = self.patience.over(), if self.patience.is_limited() => return Err(Side::Late(limit)),
            }
        }
    }

    /// Passes the final answer on; what is left of the request's body flows meanwhile and is given up when the exchange is over.
    async fn finish(
        &self,
        head: Response<()>,
        mut body: Source,
        mut upload: Option<Pin<&mut impl Future<Output = Result<(), Broken>>>>,
        sink: Sink,
    ) -> Result<Done, Broke> {
        let status = head.status();
        let over = if status.is_success() { self.over } else { Over::WithAnswer };
        let grpc = sink.version() == Version::H2 && is_grpc(head.headers());
        let early = grpc_status(head.headers());
        let outgoing = match sink.queue(head, body.is_end()) {
            Ok(outgoing) => outgoing,
            Err(why) => {
                body.abort(&why);
                return Err(Broke::Gone(why));
            }
        };
        let ended = {
            let mut download = pin!(download(&mut body, outgoing, grpc, self.observer, self.patience));
            let mut answered = None;
            loop {
                tokio::select! {
                    biased;
                    sent = async { upload.as_mut().expect("asked for below").await }, if upload.is_some() => match sent {
                        Ok(()) => upload = None,
                        Err(why) => break Err(Side::Client(why)),
                    },
                    ended = &mut download, if answered.is_none() => match ended {
                        Ok(late) => answered = Some(late),
                        Err(side) => break Err(side),
                    },
                }
                match answered {
                    Some(late) if over == Over::WithAnswer || upload.is_none() => break Ok(late),
                    _ => {}
                }
            }
        };
        match ended {
            Ok(late) => Ok(Done { status, grpc_status: late.or(early), carried: None }),
            Err(Side::Server(refusal)) => Err(Broke::Off(refusal)),
            Err(Side::Late(limit)) => {
                body.abort(&Broken::Reset(Reason::CANCEL));
                Err(Broke::Off(overdue(limit).0))
            }
            Err(Side::Client(why)) => {
                body.abort(&why);
                Err(Broke::Gone(why))
            }
        }
    }
}

async fn upgrade(head: Response<()>, server: Io, sink: Sink) -> Result<Done, Broke> {
    let status = head.status();
    if sink.version() == Version::H2 {
        let why = Broken::Malformed { status: 502, why: "the server upgraded a connection to a client of HTTP/2" };
        return Err(Broke::Unanswered { refusal: server_broke(&why), how: How::Plainly, sink, request: None });
    }
    let client = sink.upgrade(head).await.map_err(Broke::Gone)?;
    let carried = relay::run(client, server).await;
    Ok(Done { status, grpc_status: None, carried: Some(carried) })
}

/// The client spoilt its own request, or went away.
fn spoilt(why: Broken, pending: Pending, sink: Sink) -> Broke {
    if let Broken::Malformed { .. } | Broken::TooSlow = why {
        pending.abort(&Broken::Reset(Reason::CANCEL));
        return Broke::Unanswered { refusal: bad_request(&why), how: How::Plainly, sink, request: None };
    }
    Broke::Gone(why)
}

fn no_answer(why: &Broken, request: Option<Request<()>>, sink: Sink) -> Broke {
    match (why, sink.version()) {
        // The server's own word, in the client's own protocol.
        (Broken::Reset(_), Version::H2) => {
            sink.abort(why);
            Broke::Off(server_broke(why))
        }
        _ => Broke::Unanswered { refusal: server_broke(why), how: How::of(why), sink, request },
    }
}
