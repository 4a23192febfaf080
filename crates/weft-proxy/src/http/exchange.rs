//! One request goes to one upstream, and its answer comes back: the only place where that happens, for every pair of versions.
//!
//! Both bodies flow at the same time in the caller's task, each no faster than its receiver takes it. An answer may come before the request
//! is complete; a client that goes away cancels the request; a server that breaks off breaks the answer off, so that nobody takes a part
//! for the whole. It never chooses an upstream, never repeats a request and never makes up an answer: see `refuse` for that.

use std::cell::{Cell, RefCell};
use std::pin::{Pin, pin};

use http::{HeaderMap, Request, Response, StatusCode};
use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};

use super::refuse::{GRPC_STATUS, grpc_trailers, is_grpc};
use super::{Broken, Frame, NotSent, Outgoing, Pending, Reason, Reply, Sink, Source, Upstream, Version};
use crate::io::Io;
use crate::relay;

/// Is told what happens, when it happens; reads the clock if it wants to. May change the heads on their way to the client.
pub(crate) trait Observe {
    /// A 1xx response is about to be passed on.
    fn informational(&mut self, _head: &mut Response<()>) {}
    /// The final response's head has come and is about to be passed on.
    fn response(&mut self, _head: &mut Response<()>) {}
    /// Bytes of the request's body were taken by upstream.
    fn request_data(&mut self, _bytes: usize) {}
    /// Bytes of the response's body have come. The first call is the first byte.
    fn response_data(&mut self, _bytes: usize) {}
    /// The request is complete at upstream.
    fn request_end(&mut self) {}
}

/// An exchange whose answer reached its end.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: StatusCode,
    /// From the trailers, or from the head of a response that is only trailers.
    pub(crate) grpc_status: Option<u32>,
    /// After an upgrade: what the connection carried.
    pub(crate) carried: Option<relay::Carried>,
}

/// An exchange that did not.
pub(crate) enum Failed {
    /// The client has seen nothing: another upstream may be tried if the refusal says it is safe, or the sink be given the refusal.
    Unanswered(Box<Unanswered>),
    /// The client was told, by a reset or a close, that the answer ends here.
    BrokenOff(Refusal),
    /// The client went away; upstream was told.
    ClientGone(Broken),
}

pub(crate) struct Unanswered {
    pub(crate) refusal: Refusal,
    pub(crate) sink: Sink,
    pub(crate) source: Source,
    /// There if upstream did not take it, or took it without a body and says that it has not acted on it.
    pub(crate) request: Option<Request<()>>,
    /// Whether `source` has lost pieces of the body to the attempt.
    pub(crate) consumed: bool,
}

/// Runs one exchange to its end. Heads are passed on as they are, except for what belongs to one connection and what `observer` changes.
/// Dropping the future cancels the request and breaks the answer off.
pub(crate) async fn run(
    request: Request<()>,
    mut source: Source,
    mut sink: Sink,
    upstream: Upstream,
    observer: &mut impl Observe,
) -> Result<Done, Failed> {
    // A server of HTTP/2 can say that it has not acted on a request; one without a body is then still whole.
    let whole = source.is_end();
    let kept = (whole && upstream.version() == Version::H2).then(|| request.clone());
    let sent = tokio::select! {
        biased;
        sent = upstream.send(request, source.is_end()) => sent,
        why = sink.closed() => return Err(Failed::ClientGone(why)),
    };
    let (outgoing, pending) = match sent {
        Ok(sent) => sent,
        Err(NotSent { request, why }) => {
            let unanswered = Unanswered { refusal: not_sent(&why), sink, source, request: Some(request), consumed: false };
            return Err(Failed::Unanswered(Box::new(unanswered)));
        }
    };
    let (observer, consumed) = (RefCell::new(observer), Cell::new(false));
    let ended = {
        let upload = pin!(upload(&mut source, outgoing, &observer, &consumed));
        answer(pending, upload, sink, &observer).await
    };
    ended.map_err(|broke| match broke {
        Broke::Unanswered(refusal, sink) => {
            let request = kept.filter(|_| refusal.retry == Retry::Safe);
            Failed::Unanswered(Box::new(Unanswered { refusal, sink, source, request, consumed: consumed.get() && !whole }))
        }
        Broke::Off(refusal) => Failed::BrokenOff(refusal),
        Broke::Gone(why) => Failed::ClientGone(why),
    })
}

/// As [`Failed`], while the request's body is still borrowed.
enum Broke {
    Unanswered(Refusal, Sink),
    Off(Refusal),
    Gone(Broken),
}

/// Passes the answer on, up to its final head; the request's body flows meanwhile.
async fn answer<O: Observe>(
    mut pending: Pending,
    mut upload: Pin<&mut impl Future<Output = Result<(), Broken>>>,
    mut sink: Sink,
    observer: &RefCell<&mut O>,
) -> Result<Done, Broke> {
    let mut uploading = true;
    loop {
        tokio::select! {
            biased;
            sent = &mut upload, if uploading => match sent {
                Ok(()) => uploading = false,
                Err(why @ Broken::Malformed { .. }) => {
                    pending.abort(&Broken::Reset(Reason::CANCEL));
                    return Err(Broke::Unanswered(bad_request(&why), sink));
                }
                Err(why) => return Err(Broke::Gone(why)),
            },
            reply = pending.next() => match reply {
                Ok(Reply::Informational(mut head)) => {
                    observer.borrow_mut().informational(&mut head);
                    if let Err(why) = sink.informational(head).await {
                        pending.abort(&why);
                        return Err(Broke::Gone(why));
                    }
                }
                Ok(Reply::Final(mut head, body)) => {
                    observer.borrow_mut().response(&mut head);
                    return finish(head, body, uploading.then_some(upload), sink, observer).await;
                }
                Ok(Reply::Upgraded(mut head, server)) => {
                    observer.borrow_mut().response(&mut head);
                    return upgrade(head, server, sink).await;
                }
                Err(why) => return Err(no_answer(&why, sink)),
            },
            why = sink.closed() => {
                pending.abort(&why);
                return Err(Broke::Gone(why));
            }
        }
    }
}

/// Passes the final answer on; what is left of the request's body flows meanwhile and is given up when the answer is complete.
async fn finish<O: Observe>(
    head: Response<()>,
    mut body: Source,
    mut upload: Option<Pin<&mut impl Future<Output = Result<(), Broken>>>>,
    sink: Sink,
    observer: &RefCell<&mut O>,
) -> Result<Done, Broke> {
    let status = head.status();
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
        let mut download = pin!(download(&mut body, outgoing, grpc, observer));
        loop {
            tokio::select! {
                biased;
                sent = async { upload.as_mut().expect("asked for below").await }, if upload.is_some() => match sent {
                    Ok(()) => upload = None,
                    Err(why) => break Err(Side::Client(why)),
                },
                ended = &mut download => break ended,
            }
        }
    };
    match ended {
        Ok(late) => Ok(Done { status, grpc_status: late.or(early), carried: None }),
        Err(Side::Server(refusal)) => Err(Broke::Off(refusal)),
        Err(Side::Client(why)) => {
            body.abort(&why);
            Err(Broke::Gone(why))
        }
    }
}

async fn upgrade(head: Response<()>, server: Io, sink: Sink) -> Result<Done, Broke> {
    let status = head.status();
    if sink.version() == Version::H2 {
        let why = Broken::Malformed { status: 502, why: "the server upgraded a connection to a client of HTTP/2" };
        return Err(Broke::Unanswered(server_broke(&why), sink));
    }
    let client = sink.upgrade(head).await.map_err(Broke::Gone)?;
    let carried = relay::run(client, server).await;
    Ok(Done { status, grpc_status: None, carried: Some(carried) })
}

enum Side {
    Client(Broken),
    Server(Refusal),
}

/// Sends the request's body. Fails when the client breaks it off; an upstream that wants no more of it is no failure: its answer says why.
async fn upload<O: Observe>(
    source: &mut Source,
    mut outgoing: Outgoing,
    observer: &RefCell<&mut O>,
    consumed: &Cell<bool>,
) -> Result<(), Broken> {
    loop {
        let frame = tokio::select! {
            biased;
            frame = source.frame() => frame,
            _ = outgoing.closed() => return Ok(()),
        };
        consumed.set(true);
        let taken = match frame {
            Ok(Some(Frame::Data(data))) => {
                let bytes = data.len();
                let last = source.is_end();
                let taken = if last {
                    Outgoing::last(outgoing, data).await.map(|()| None)
                } else {
                    outgoing.data(data).await.map(|()| Some(outgoing))
                };
                if taken.is_ok() {
                    observer.borrow_mut().request_data(bytes);
                }
                taken
            }
            Ok(Some(Frame::Trailers(trailers))) => outgoing.trailers(trailers).await.map(|()| None),
            Ok(None) => outgoing.finish().await.map(|()| None),
            Err(why) => {
                outgoing.abort(&why);
                return Err(why);
            }
        };
        match taken {
            Ok(Some(open)) => outgoing = open,
            Ok(None) => {
                observer.borrow_mut().request_end();
                return Ok(());
            }
            Err(_) => return Ok(()),
        }
    }
}

/// Sends the answer's body and returns the gRPC status that ends it.
async fn download<O: Observe>(
    source: &mut Source,
    mut outgoing: Outgoing,
    grpc: bool,
    observer: &RefCell<&mut O>,
) -> Result<Option<u32>, Side> {
    loop {
        // The head leaves together with the first piece, unless that is not there yet.
        let gone = async {
            match outgoing.flush().await {
                Ok(()) => outgoing.closed().await,
                Err(why) => why,
            }
        };
        let frame = tokio::select! {
            biased;
            frame = source.frame() => frame,
            why = gone => return Err(Side::Client(why)),
        };
        match frame {
            Ok(Some(Frame::Data(data))) => {
                observer.borrow_mut().response_data(data.len());
                if source.is_end() {
                    return outgoing.last(data).await.map(|()| None).map_err(Side::Client);
                }
                outgoing.data(data).await.map_err(Side::Client)?;
            }
            Ok(Some(Frame::Trailers(trailers))) => {
                let status = grpc_status(&trailers);
                return outgoing.trailers(trailers).await.map(|()| status).map_err(Side::Client);
            }
            Ok(None) => return outgoing.finish().await.map(|()| None).map_err(Side::Client),
            Err(why) => {
                let refusal = server_broke(&why);
                match why {
                    // A lost connection is no word of the server's: a gRPC client gets one it understands.
                    Broken::Closed | Broken::Io(_) if grpc => drop(outgoing.trailers(grpc_trailers(&refusal)).await),
                    why => outgoing.abort(&why),
                }
                return Err(Side::Server(refusal));
            }
        }
    }
}

fn no_answer(why: &Broken, sink: Sink) -> Broke {
    match (why, sink.version()) {
        // The server's own word, in the client's own protocol.
        (Broken::Reset(_), Version::H2) => {
            sink.abort(why);
            Broke::Off(server_broke(why))
        }
        _ => Broke::Unanswered(server_broke(why), sink),
    }
}

fn server_broke(why: &Broken) -> Refusal {
    let retry = if matches!(why, Broken::Refused) { Retry::Safe } else { Retry::Unsafe };
    Refusal::new(Stage::Exchange, Blame::Server, retry, Cause::ServerBroke, format!("server: {why}"))
}

fn not_sent(why: &Broken) -> Refusal {
    match why {
        Broken::Malformed { .. } => bad_request(why),
        Broken::Full => Refusal::new(Stage::Connect, Blame::Server, Retry::Safe, Cause::LoadShed, why.to_string()),
        why => Refusal::new(Stage::Connect, Blame::Server, Retry::Safe, Cause::ConnectFailed, format!("request not sent: {why}")),
    }
}

fn bad_request(why: &Broken) -> Refusal {
    let (blame, cause) = match why {
        Broken::Malformed { status, .. } if *status < 500 => (Blame::Client, Cause::BadRequest(*status)),
        _ => (Blame::Proxy, Cause::Unexpected),
    };
    Refusal::new(Stage::Exchange, blame, Retry::Unsafe, cause, format!("request: {why}"))
}

/// The status that a gRPC message ends with; 2 (UNKNOWN) if it is not a number.
fn grpc_status(headers: &HeaderMap) -> Option<u32> {
    let status = headers.get(GRPC_STATUS)?;
    Some(status.to_str().ok().and_then(|status| status.parse().ok()).unwrap_or(2))
}
