//! What an exchange leaves of a request, so that it can be sent again, and how long it waits.

use std::cell::{Cell, RefCell};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use weft_core::outcome::{Blame, Cause, Retry};
use weft_core::timeout::Limits;

use super::*;
use crate::clock;
use crate::http::exchange::{Ended, How, Verdict};
use crate::http::h1::client::Connection as Http1;
use crate::http::replay::Keep;
use crate::http::{h1, orig_proto};

/// Keeps bodies, waits so long, and replaces the answers that have this status.
#[derive(Default)]
struct Choosy {
    keep: Option<usize>,
    limits: Limits,
    replaces: Option<u16>,
    /// What it was shown: HTTP status, gRPC status, and whether the request was whole.
    saw: Vec<(u16, Option<u32>, bool)>,
}

impl Observe for Choosy {
    fn keep(&self, _upstream: crate::http::Version) -> Option<Keep> {
        self.keep.map(|most| Keep { most, room: Rc::new(Cell::new(1 << 20)) })
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn wants_status(&self) -> bool {
        true
    }

    fn judge(&mut self, head: &Response<()>, grpc: Option<u32>, whole: bool) -> Verdict {
        self.saw.push((head.status().as_u16(), grpc, whole));
        if whole && self.replaces == Some(head.status().as_u16()) { Verdict::Replace } else { Verdict::PassOn }
    }
}

/// A client's connection to a proxy that sends each request to the next of `upstreams`, and tells what came of it.
async fn choosing(
    upstreams: Vec<Upstream>,
    choosy: impl Fn() -> Choosy + 'static,
) -> (Connection, mpsc::UnboundedReceiver<(Choosy, Result<Ended, Failed>)>, watch::Sender<bool>) {
    let (told, endings) = mpsc::unbounded_channel();
    let (upstreams, choosy) = (Rc::new(RefCell::new(upstreams.into_iter())), Rc::new(choosy));
    let (connection, stop) = server(move |request, source, sink| {
        let (upstreams, choosy, told) = (upstreams.clone(), choosy.clone(), told.clone());
        async move {
            let mut upstream = upstreams.borrow_mut().next().expect("an upstream for each request");
            let mut observer = choosy();
            let ended = exchange::run(Box::new(Message { request, source, sink }), &mut upstream, &mut observer).await;
            let _ = told.send((observer, ended));
        }
    })
    .await;
    (connection, endings, stop)
}

/// A connection to a server of HTTP/1 that answers one request and closes when it has read another, up to this end.
async fn closes_after_one(end: &'static [u8]) -> Http1 {
    let (near, mut far) = sockets().await;
    spawn_local(async move {
        for (end, answer) in [(&b"\r\n\r\n"[..], &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..]), (end, b"")] {
            let mut read = Vec::new();
            while !read.ends_with(end) {
                read.push(far.read_u8().await.expect("request"));
            }
            far.write_all(answer).await.expect("answer");
        }
    });
    Http1::new(Io::new(near))
}

/// Requirement (a defect once: 502 and no second attempt): a kept connection that ends before a byte of an answer is told apart from a
/// server that breaks off, and the request is there to be sent again; with a body that is gone it is not.
#[test]
fn a_kept_connection_that_ends_leaves_the_request_whole() {
    for body in [false, true] {
        talk(async move {
            let kept = closes_after_one(if body { b"\r\n0\r\n\r\n" } else { b"\r\n\r\n" }).await;
            let upstreams = vec![Upstream::H1(kept.clone()), Upstream::H1(kept.clone())];
            let (connection, mut endings, _stop) = choosing(upstreams, Choosy::default).await;
            let (_, mut pending) = ask(&connection, Request::get("http://api/one"), true).await;
            assert_eq!(answer(&mut pending).await.expect("answer").0.status(), 200);
            endings.recv().await.expect("ended").1.map_err(|_| ()).expect("done");
            assert!(kept.is_reusable());

            let (outgoing, pending) = ask(&connection, Request::put("http://api/two"), !body).await;
            if body {
                outgoing.last(bytes("body")).await.expect("data");
            }
            let (_, ended) = endings.recv().await.expect("ended");
            let Err(Failed::Unanswered(unanswered)) = ended else { panic!("answered") };
            assert_eq!((unanswered.how, unanswered.refusal.retry), (How::Stale { sent: true }, Retry::Unsafe));
            assert_eq!(unanswered.message.request.uri().path(), "/two");
            assert_eq!(unanswered.whole, !body);
            drop(pending);
        });
    }
}

/// Requirement: an answer that is replaced leaves the request as it was, with all of its body; the first server is told that it is not
/// wanted; a body that is larger than what is kept is passed on with the answer that there is.
#[test]
fn a_replaced_answer_leaves_the_body_whole() {
    talk(async {
        let busy = async |_: Request<()>, mut source: Source, sink: Sink| {
            while let Ok(Some(_)) = source.frame().await {}
            let head = Response::builder().status(503).body(()).expect("head");
            let _ = sink.respond(head, true).await;
        };
        let (upstream, _upstream_stop) = server(busy).await;
        let choosy = || Choosy { keep: Some(10), replaces: Some(503), ..Choosy::default() };
        let upstreams = vec![Upstream::H2(upstream.clone()), Upstream::H2(upstream)];
        let (connection, mut endings, _stop) = choosing(upstreams, choosy).await;

        let (mut outgoing, _pending) = ask(&connection, post().header("x-own", "1"), false).await;
        outgoing.data(bytes("first ")).await.expect("data");
        outgoing.last(bytes("last")).await.expect("data");
        let (observer, ended) = endings.recv().await.expect("ended");
        assert_eq!(observer.saw, [(503, None, true)]);
        let Ok(Ended::Replaced(mut again)) = ended else { panic!("not replaced") };
        assert_eq!(again.request.headers()["x-own"], "1");
        assert_eq!(read(&mut again.source).await.expect("body").0, b"first last");

        let (outgoing, mut pending) = ask(&connection, post(), false).await;
        outgoing.last(bytes("more than is kept")).await.expect("data");
        assert_eq!(answer(&mut pending).await.expect("answer").0.status(), 503);
        assert_eq!(endings.recv().await.expect("ended").0.saw, [(503, None, false)]);
    });
}

/// Requirement: a gRPC answer that ends right after its head shows its status before anything goes to the client; one that brings a
/// message first shows none, and arrives whole.
#[test]
fn an_early_grpc_status_is_seen() {
    for message in [false, true] {
        talk(async move {
            let application = move |_: Request<()>, _: Source, sink: Sink| async move {
                let head = Response::builder().header("content-type", "application/grpc").body(()).expect("head");
                let mut outgoing = sink.respond(head, false).await.expect("head");
                if message {
                    outgoing.data(bytes("message")).await.expect("data");
                }
                outgoing.trailers(grpc_status("14")).await.expect("trailers");
            };
            let (upstream, _upstream_stop) = server(application).await;
            let (connection, mut endings, _stop) = choosing(vec![Upstream::H2(upstream)], Choosy::default).await;
            let (_, mut pending) = ask(&connection, post().header("content-type", "application/grpc"), true).await;
            let (_, mut body) = answer(&mut pending).await.expect("answer");
            let (data, trailers) = read(&mut body).await.expect("body");
            assert_eq!((data.as_slice(), trailers), (if message { &b"message"[..] } else { b"" }, grpc_status("14")));
            let (observer, ended) = endings.recv().await.expect("ended");
            assert_eq!(observer.saw, [(200, if message { None } else { Some(14) }, true)]);
            let Ok(Ended::Done(done)) = ended else { panic!("not done") };
            assert_eq!(done.grpc_status, Some(14));
        });
    }
}

/// Requirement: a server that does not answer in time is a 504 that leaves the request whole; one that stops in the middle breaks the
/// answer off, for gRPC with a status in the trailers.
#[test]
fn time_limits_are_kept() {
    for (inside, grpc) in [(false, false), (true, false), (true, true)] {
        talk(async move {
            let application = move |_: Request<()>, _: Source, sink: Sink| async move {
                let kind = if grpc { "application/grpc" } else { "text/plain" };
                let head = Response::builder().header("content-type", kind).body(()).expect("head");
                if !inside {
                    return std::future::pending().await;
                }
                let mut outgoing = sink.respond(head, false).await.expect("head");
                outgoing.data(bytes("part")).await.expect("data");
                outgoing.closed().await;
            };
            let (upstream, _upstream_stop) = server(application).await;
            let choosy = || {
                let request = Some(clock::now() + Duration::from_millis(100));
                Choosy { limits: Limits { request, ..Limits::default() }, ..Choosy::default() }
            };
            let (connection, mut endings, _stop) = choosing(vec![Upstream::H2(upstream)], choosy).await;
            let (_, mut pending) = ask(&connection, post(), true).await;
            if inside {
                let rest = match answer(&mut pending).await {
                    Ok((_, mut body)) => read(&mut body).await,
                    Err(why) => Err(why),
                };
                match (grpc, rest) {
                    (true, Ok((_, trailers))) => assert_eq!(trailers[&refuse::GRPC_STATUS], "4"),
                    (false, Err(Broken::Reset(_))) => {}
                    (_, rest) => panic!("{rest:?}"),
                }
            }
            let (_, ended) = endings.recv().await.expect("ended");
            match ended {
                Err(Failed::Unanswered(unanswered)) => {
                    assert!(!inside);
                    assert_eq!((unanswered.refusal.cause, unanswered.whole), (Cause::Timeout, true));
                }
                Err(Failed::BrokenOff(refusal)) => assert_eq!((inside, refusal.cause), (true, Cause::Timeout)),
                _ => panic!("no time limit was kept"),
            }
        });
    }
}

/// A client of HTTP/1 in front of a proxy that lets its body be waited for 200 ms, and an application with this handler.
async fn hurried<H, F>(application: H) -> (TcpStream, mpsc::UnboundedReceiver<Result<Ended, Failed>>)
where
    H: Fn(Request<()>, Source, Sink) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let (upstream, upstream_stop) = server(application).await;
    let (told, endings) = mpsc::unbounded_channel();
    let (near, far) = sockets().await;
    spawn_local(async move {
        let _stop = upstream_stop;
        let mut server = h1::server::Server::new(Io::new(far), Default::default(), h1::server::Timeouts::default());
        let Ok(Some(mut message)) = server.next().await else { panic!("no request") };
        orig_proto::carry(&mut message.request).expect("carried");
        let limits = Limits { body: Some(Duration::from_millis(200)), ..Limits::default() };
        let mut observer = Choosy { limits, ..Choosy::default() };
        let ended = exchange::run(message, &mut Upstream::H2(upstream), &mut observer).await;
        let _ = told.send(ended);
        let _ = server.next().await;
    });
    (near, endings)
}

/// Requirement: a client of HTTP/1 that stops inside the body of its request is at fault, with 408; the server is told that the rest does not
/// come.
#[test]
fn a_body_that_stops_is_the_clients_fault() {
    talk(async {
        let (told, mut broken) = mpsc::unbounded_channel();
        let (mut near, mut endings) = hurried(move |_: Request<()>, mut source: Source, mut sink: Sink| {
            let told = told.clone();
            async move {
                let _ = told.send(read(&mut source).await.map(|_| ()));
                sink.closed().await;
            }
        })
        .await;
        near.write_all(b"POST / HTTP/1.1\r\nhost: api\r\ncontent-length: 10\r\n\r\nfirst").await.expect("written");
        let Some(Err(Failed::Unanswered(unanswered))) = endings.recv().await else { panic!("no refusal") };
        let refusal = &unanswered.refusal;
        assert_eq!((refusal.cause, refusal.blame, refusal.retry), (Cause::BadRequest(408), Blame::Client, Retry::Unsafe));
        assert!(matches!(broken.recv().await, Some(Err(Broken::Reset(::h2::Reason::CANCEL)))));
    });
}

/// Requirement: a client that waits for 100 (Continue) waits as long as the server lets it, and one whose answer has begun pauses as it
/// likes; after 100 it owes its body like any other.
#[test]
fn a_client_waits_for_100_and_pauses_behind_its_answer() {
    for stops in [false, true] {
        talk(async move {
            let (mut near, mut endings) = hurried(async |_: Request<()>, mut source: Source, mut sink: Sink| {
                tokio::time::sleep(Duration::from_millis(500)).await;
                sink.informational(Response::builder().status(100).body(()).expect("head")).await.expect("sent");
                let Ok(Some(Frame::Data(first))) = source.frame().await else { return };
                let mut outgoing = sink.respond(Response::new(()), false).await.expect("head");
                outgoing.data(first).await.expect("data");
                outgoing.last(read(&mut source).await.expect("body").0.into()).await.expect("data");
            })
            .await;
            near.write_all(b"POST / HTTP/1.1\r\nhost: api\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: 10\r\n\r\n")
                .await
                .expect("written");
            let mut said = String::new();
            while !said.ends_with("HTTP/1.1 100 Continue\r\n\r\n") {
                said.push(near.read_u8().await.expect("head").into());
            }
            if stops {
                let Some(Err(Failed::Unanswered(unanswered))) = endings.recv().await else { panic!("no refusal") };
                return assert_eq!(unanswered.refusal.cause, Cause::BadRequest(408));
            }
            near.write_all(b"first").await.expect("written");
            while !said.ends_with("first\r\n") {
                said.push(near.read_u8().await.expect("data").into());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            near.write_all(b"later").await.expect("written");
            near.read_to_string(&mut said).await.expect("answer");
            assert!(said.contains("later"), "{said}");
            assert!(matches!(endings.recv().await, Some(Ok(Ended::Done(_)))));
        });
    }
}
