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
use http::{Method, Response, StatusCode};
use weft_core::outcome::Refusal;
use weft_core::timeout::{Limit, Limits};

use self::bodies::{Side, download, grpc_status, upload};
pub(crate) use self::ended::{Done, Ended, Failed, How, Unanswered};
use self::ended::{bad_request, not_sent, overdue, server_broke};
use super::patience::Patience;
use super::refuse::is_grpc;
use super::replay::{Keep, Replay, Tape};
use super::{Broken, Frame, Head, Message, Pending, Reason, Reply, Sink, Source, Upstream, Version};
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
pub(crate) async fn run(mut message: Box<Message>, upstream: &mut Upstream, observer: &mut impl Observe) -> Result<Ended, Failed> {
    let keep = observer.keep(upstream.version());
    let mut limits = observer.limits();
    limits.body = limits.body.filter(|_| message.sink.version() == Version::H1 && !message.source.is_end());
    let patience = Patience::new(limits, limits.body.is_some() && message.request.headers().contains_key(EXPECT));
    // HTTP/1 leaves the head; HTTP/2 takes it, and can say that it has not acted on a request.
    let head = if keep.is_some() || message.source.is_end() { Head::Copied } else { Head::Taken };
    let again = head == Head::Copied || upstream.version() == Version::H1;
    let over = if *message.request.method() == Method::CONNECT { Over::BothWays } else { Over::WithAnswer };
    let sent = {
        let Message { request, source, sink } = &mut *message;
        tokio::select! {
            biased;
            sent = upstream.send(request, head, source.is_end()) => sent.map_err(|why| (not_sent(&why), true)),
            why = sink.closed() => return Err(Failed::ClientGone(why)),
            limit = patience.over(), if patience.is_limited() => Err((overdue(limit), again)),
        }
    };
    let (outgoing, mut pending) = match sent {
        Ok(sent) => sent,
        Err(((refusal, how), whole)) => return Err(Failed::Unanswered(Box::new(Unanswered { refusal, how, message, whole }))),
    };
    let (observer, tape) = (RefCell::new(observer), RefCell::new(Tape::new(keep)));
    let broke = {
        let mut upload = Some(pin!(upload(&mut message.source, outgoing, &observer, &tape, &patience)));
        let exchange = Exchange { observer: &observer, tape: &tape, patience: &patience, again, over };
        match exchange.answer(&mut pending, &mut upload, &mut message.sink).await {
            Ok(Answer::PassOn { head, body, grpc }) => return exchange.pass_on(head, body, grpc, upload, message.sink).await,
            Ok(Answer::Upgraded { head, server }) => return Box::pin(upgrade(head, server, message.sink)).await,
            Err(broke) => broke,
        }
    };
    let tape = tape.into_inner();
    let whole = again && tape.is_whole();
    message.source = tape.rewind(message.source);
    match broke {
        Broke::Replaced => Ok(Ended::Replaced(message)),
        // The server's own word, in the client's own protocol.
        Broke::Server(why @ Broken::Reset(_)) if message.sink.version() == Version::H2 => {
            message.sink.abort(&why);
            Err(Failed::BrokenOff(server_broke(&why)))
        }
        Broke::Server(why) => {
            Err(Failed::Unanswered(Box::new(Unanswered { refusal: server_broke(&why), how: How::of(&why), message, whole })))
        }
        Broke::Unanswered(refusal, how) => Err(Failed::Unanswered(Box::new(Unanswered { refusal, how, message, whole }))),
        Broke::Gone(why) => Err(Failed::ClientGone(why)),
    }
}

/// A final answer, for the client.
enum Answer {
    PassOn { head: Response<()>, body: Source, grpc: Option<u32> },
    Upgraded { head: Response<()>, server: Io },
}

/// Why there is none.
enum Broke {
    Unanswered(Refusal, How),
    Server(Broken),
    /// There is one, and the observer wants another in its place.
    Replaced,
    Gone(Broken),
}

/// What the parts of one exchange share.
struct Exchange<'a, O> {
    observer: &'a RefCell<&'a mut O>,
    tape: &'a RefCell<Tape>,
    patience: &'a Patience,
    /// The head of the request is there to be sent again.
    again: bool,
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

/// The request's body on its way; none when that is over.
type Upload<'a, F> = Option<Pin<&'a mut F>>;

impl<O: Observe> Exchange<'_, O> {
    /// Waits for the final head and has it judged; the request's body flows meanwhile.
    async fn answer<F>(&self, pending: &mut Pending, upload: &mut Upload<'_, F>, sink: &mut Sink) -> Result<Answer, Broke>
    where
        F: Future<Output = Result<(), Broken>>,
    {
        loop {
            tokio::select! {
                biased;
                sent = advance(upload), if upload.is_some() => match sent {
                    Ok(()) => *upload = None,
                    Err(why) => return Err(spoilt(why, pending)),
                },
                reply = pending.next() => match reply {
                    Ok(Reply::Informational(head)) => Box::pin(self.inform(head, pending, sink)).await?,
                    Ok(Reply::Final(head, body)) => {
                        self.patience.heard();
                        let grpc = grpc_status(head.headers());
                        if grpc.is_none() && !body.is_end() && self.observer.borrow().wants_status() && is_grpc(head.headers()) {
                            return Box::pin(self.judged_by_status(head, body, upload, sink)).await;
                        }
                        return self.judged(head, body, grpc);
                    }
                    Ok(Reply::Upgraded(..)) if sink.version() == Version::H2 => {
                        let why = Broken::Malformed { status: 502, why: "the server upgraded a connection to a client of HTTP/2" };
                        self.tape.borrow_mut().lose();
                        return Err(Broke::Server(why));
                    }
                    Ok(Reply::Upgraded(mut head, server)) => {
                        self.observer.borrow_mut().response(&mut head, None);
                        return Ok(Answer::Upgraded { head, server });
                    }
                    Err(why) => return Err(Broke::Server(why)),
                },
                why = sink.closed() => {
                    pending.abort(&why);
                    return Err(Broke::Gone(why));
                }
                limit = self.patience.over(), if self.patience.is_limited() => {
                    pending.abort(&Broken::Reset(Reason::CANCEL));
                    return Err(late(limit));
                }
            }
        }
    }

    /// Passes a 1xx response on.
    async fn inform(&self, mut head: Response<()>, pending: &mut Pending, sink: &mut Sink) -> Result<(), Broke> {
        // From here on the client has heard of this attempt.
        self.tape.borrow_mut().lose();
        if head.status() == StatusCode::CONTINUE {
            self.patience.goes_on();
        }
        self.observer.borrow_mut().informational(&mut head);
        sink.informational(head).await.map_err(|why| {
            pending.abort(&why);
            Broke::Gone(why)
        })
    }

    /// The final head has come: it goes on to the client, unless the observer wants another answer in its place.
    fn judged(&self, mut head: Response<()>, mut body: Source, grpc: Option<u32>) -> Result<Answer, Broke> {
        let whole = self.again && self.tape.borrow().is_whole();
        if self.observer.borrow_mut().judge(&head, grpc, whole) == Verdict::Replace {
            body.abort(&Broken::Reset(Reason::CANCEL));
            return Err(Broke::Replaced);
        }
        // Nothing is sent again from here on.
        self.tape.borrow_mut().lose();
        self.patience.answered();
        self.observer.borrow_mut().response(&mut head, grpc);
        Ok(Answer::PassOn { head, body, grpc })
    }

    /// The same for an answer of gRPC that may end with the first piece of its body, and with a status that is worth another try.
    async fn judged_by_status<F>(
        &self,
        head: Response<()>,
        mut body: Source,
        upload: &mut Upload<'_, F>,
        sink: &mut Sink,
    ) -> Result<Answer, Broke>
    where
        F: Future<Output = Result<(), Broken>>,
    {
        let first = tokio::select! {
            biased;
            first = self.first(&mut body, upload) => first,
            why = sink.closed() => Err(Side::Client(why)),
        };
        match first {
            Ok(None) => self.judged(head, Source::Empty, None),
            Ok(Some(Frame::Trailers(trailers))) => {
                let grpc = grpc_status(&trailers);
                self.judged(head, Replay::before([Frame::Trailers(trailers)], Source::Empty), grpc)
            }
            Ok(Some(data)) => self.judged(head, Replay::before([data], body), None),
            Err(Side::Client(why)) => {
                body.abort(&why);
                Err(Broke::Gone(why))
            }
            Err(Side::Server(refusal)) => Err(Broke::Unanswered(refusal, How::Plainly)),
            Err(Side::Late(limit)) => Err(late(limit)),
        }
    }

    /// The first piece of an answer's body; the request's body flows meanwhile.
    async fn first<F>(&self, body: &mut Source, upload: &mut Upload<'_, F>) -> Result<Option<Frame>, Side>
    where
        F: Future<Output = Result<(), Broken>>,
    {
        loop {
            tokio::select! {
                biased;
                sent = advance(upload), if upload.is_some() => match sent {
                    Ok(()) => *upload = None,
                    Err(why) => return Err(Side::Client(why)),
                },
                frame = body.frame() => return frame.map_err(|why| Side::Server(server_broke(&why))),
                limit = self.patience.over(), if self.patience.is_limited() => return Err(Side::Late(limit)),
            }
        }
    }

    /// Passes the final answer on; what is left of the request's body flows meanwhile and is given up when the exchange is over.
    async fn pass_on<F>(
        &self,
        head: Response<()>,
        mut body: Source,
        early: Option<u32>,
        mut upload: Upload<'_, F>,
        sink: Sink,
    ) -> Result<Ended, Failed>
    where
        F: Future<Output = Result<(), Broken>>,
    {
        let status = head.status();
        let over = if status.is_success() { self.over } else { Over::WithAnswer };
        let grpc = sink.version() == Version::H2 && is_grpc(head.headers());
        let outgoing = match sink.queue(head, body.is_end()) {
            Ok(outgoing) => outgoing,
            Err(why) => {
                body.abort(&why);
                return Err(Failed::ClientGone(why));
            }
        };
        let ended = {
            let mut download = pin!(download(&mut body, outgoing, grpc, self.observer, self.patience));
            let mut answered = None;
            loop {
                tokio::select! {
                    biased;
                    sent = advance(&mut upload), if upload.is_some() => match sent {
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
            Ok(late) => Ok(Ended::Done(Done { status, grpc_status: late.or(early), carried: None })),
            Err(Side::Server(refusal)) => Err(Failed::BrokenOff(refusal)),
            Err(Side::Late(limit)) => {
                body.abort(&Broken::Reset(Reason::CANCEL));
                Err(Failed::BrokenOff(overdue(limit).0))
            }
            Err(Side::Client(why)) => {
                body.abort(&why);
                Err(Failed::ClientGone(why))
            }
        }
    }
}

async fn upgrade(head: Response<()>, server: Io, sink: Sink) -> Result<Ended, Failed> {
    let status = head.status();
    let client = sink.upgrade(head).await.map_err(Failed::ClientGone)?;
    let carried = relay::run(client, server).await;
    Ok(Ended::Done(Done { status, grpc_status: None, carried: Some(carried) }))
}

/// Goes on with the request's body. Only while there is one.
async fn advance<F>(upload: &mut Upload<'_, F>) -> Result<(), Broken>
where
    F: Future<Output = Result<(), Broken>>,
{
    upload.as_mut().expect("asked before").await
}

/// The client spoilt its own request, or went away.
fn spoilt(why: Broken, pending: &mut Pending) -> Broke {
    if let Broken::Malformed { .. } | Broken::TooSlow = why {
        pending.abort(&Broken::Reset(Reason::CANCEL));
        return Broke::Unanswered(bad_request(&why), How::Plainly);
    }
    Broke::Gone(why)
}

fn late(limit: Limit) -> Broke {
    let (refusal, how) = overdue(limit);
    Broke::Unanswered(refusal, how)
}
