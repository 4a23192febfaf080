//! Conversations over loopback sockets: a client, a proxy that only runs the exchange, and an application.

mod again;
mod bodies;
mod carriage;
mod connect;
mod ends;
mod floods;
mod unread;
mod versions;

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};
use weft_core::headers::Party;

use super::exchange::{self, Done, Failed, Observe};
use super::h2::client::{self, Connection};
use super::refuse::Asked;
use super::{Broken, Frame, Head, Message, Outgoing, Pending, Reply, Sink, Source, Upstream, h2, refuse};
use crate::io::Io;

struct Blind;

impl Observe for Blind {}

/// Runs a conversation on one thread, as a worker does.
fn talk<F: Future<Output = ()>>(conversation: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(60), conversation).await.expect("the conversation ends");
    });
}

/// Both ends of one loopback connection.
async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let (connected, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let sockets = (connected.expect("connect"), accepted.expect("accept").0);
    // As the proxy's own: a small piece waits 40 ms for the other side's acknowledgement otherwise.
    sockets.0.set_nodelay(true).expect("option");
    sockets.1.set_nodelay(true).expect("option");
    sockets
}

/// An HTTP/2 server with this handler and a connection to it. Sending true tells the server to stop.
async fn server<H, F>(handler: H) -> (Connection, watch::Sender<bool>)
where
    H: Fn(Request<()>, Source, Sink) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let (near, far) = sockets().await;
    server_over((Io::new(near), Io::new(far)), handler).await
}

async fn server_over<H, F>((near, far): (Io, Io), handler: H) -> (Connection, watch::Sender<bool>)
where
    H: Fn(Request<()>, Source, Sink) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let (stop, stopping) = watch::channel(false);
    spawn_local(async move {
        let handler = |message: Box<Message>| handler(message.request, message.source, message.sink);
        let _ = h2::server::serve(far, h2::Tuning::default(), stopping, handler).await;
    });
    (client::connect(near, h2::Tuning::default()).await.expect("connection"), stop)
}

/// A proxy in front of an upstream. What each exchange came to is sent to `ended`.
async fn proxy(upstream: Connection, ended: tokio::sync::mpsc::UnboundedSender<Result<Done, String>>) -> (Connection, watch::Sender<bool>) {
    let ended = Rc::new(ended);
    server(move |request, source, sink| {
        let (upstream, ended) = (upstream.clone(), ended.clone());
        async move {
            let asked = Asked::of(request.version(), request.headers());
            let done = pass(request, source, sink, Upstream::H2(upstream), asked).await;
            let _ = ended.send(done);
        }
    })
    .await
}

async fn pass(request: Request<()>, source: Source, sink: Sink, mut upstream: Upstream, asked: Asked) -> Result<Done, String> {
    match exchange::run(Box::new(Message { request, source, sink }), &mut upstream, &mut Blind).await {
        Ok(exchange::Ended::Done(done)) => Ok(done),
        Ok(exchange::Ended::Replaced(_)) => Err("replaced".into()),
        Err(Failed::Unanswered(unanswered)) => {
            let refusal = unanswered.refusal;
            let _ = unanswered.message.sink.respond(refuse::response(&refusal, asked, Party::Application), true).await;
            Err(format!("refused {:?} {refusal}{}", refusal.retry, if unanswered.whole { ", request whole" } else { "" }))
        }
        Err(Failed::BrokenOff(refusal)) => Err(format!("broken off {refusal}")),
        Err(Failed::ClientGone(why)) => Err(format!("client gone {why}")),
    }
}

type Ended = tokio::sync::mpsc::UnboundedReceiver<Result<Done, String>>;

/// A client's connection through a proxy to an application with this handler.
async fn through<H, F>(application: H) -> (Connection, Ended)
where
    H: Fn(Request<()>, Source, Sink) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let (upstream, upstream_stop) = server(application).await;
    let (ended, endings) = tokio::sync::mpsc::unbounded_channel();
    let (connection, stop) = proxy(upstream, ended).await;
    // Servers stop when they lose their sender; these live as long as the test's runtime.
    spawn_local(async move {
        let _servers = (upstream_stop, stop);
        std::future::pending::<()>().await;
    });
    (connection, endings)
}

async fn ask(connection: &Connection, request: http::request::Builder, end: bool) -> (Outgoing, Pending) {
    let mut request = request.body(()).expect("request");
    Upstream::H2(connection.clone()).send(&mut request, Head::Taken, end).await.expect("sent")
}

fn post() -> http::request::Builder {
    Request::post("http://api.default/echo")
}

async fn answer(pending: &mut Pending) -> Result<(Response<()>, Source), Broken> {
    match pending.next().await? {
        Reply::Final(head, body) => Ok((head, body)),
        Reply::Informational(head) => panic!("unexpected {head:?}"),
        Reply::Upgraded(head, _) => panic!("unexpected {head:?}"),
    }
}

async fn read(source: &mut Source) -> Result<(Vec<u8>, HeaderMap), Broken> {
    let mut all = Vec::new();
    while let Some(frame) = source.frame().await? {
        match frame {
            Frame::Data(data) => all.extend_from_slice(&data),
            Frame::Trailers(trailers) => return Ok((all, trailers)),
        }
    }
    Ok((all, HeaderMap::new()))
}

/// Sends back what comes, piece by piece, trailers too.
async fn echo(_: Request<()>, mut source: Source, sink: Sink) {
    let mut outgoing = sink.respond(Response::new(()), false).await.expect("head");
    loop {
        match source.frame().await.expect("frame") {
            Some(Frame::Data(data)) => outgoing.data(data).await.expect("data"),
            Some(Frame::Trailers(trailers)) => return outgoing.trailers(trailers).await.expect("trailers"),
            None => return outgoing.finish().await.expect("end"),
        }
    }
}

fn grpc_status(code: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(refuse::GRPC_STATUS, HeaderValue::from_static(code))])
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}
