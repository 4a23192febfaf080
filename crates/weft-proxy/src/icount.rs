//! Fixed request paths whose instructions are counted.
//!
//! Each path is a test that runs client, proxies and application on one thread, over loopback sockets and with the mesh's real TLS, so that
//! what happens, and in which order, is the same every time. `make bench-icount` runs them under callgrind, which counts only inside
//! [`measured`]; as plain tests they show that the paths answer. The stages are called as `app` calls them; nothing is timed here.

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};
use weft_core::model::{
    Backend, BackendKind, Distribution, Endpoint, Endpoints, Http2Params, Meta, OpaqueVerdict, OutboundHttp, OutboundOpaque,
    OutboundPolicy, OutboundProtocol, OutboundRoute, OutboundRule, PeakEwma, ProtocolHint, Queue, Resource, RouteKind,
};

use crate::accept::Accepted;
use crate::account::Accounts;
use crate::clock;
use crate::control::view::{Discovery, tests::fixed};
use crate::drain::Drain;
use crate::metrics::Registry;
use crate::settings::Settings;
use crate::tls::Mesh;
use crate::tls::tests::{ca, expected, mesh};
use crate::worker::Worker;
use crate::{inbound, outbound};

const CLIENT: &str = "web.default.serviceaccount.identity.weft.cluster.local";
const SERVER: &str = "voting.default.serviceaccount.identity.weft.cluster.local";
const HOUR: Duration = Duration::from_secs(3600);
/// Requests that open connections, fill caches and grow buffers.
const FIRST: usize = 320;
/// Requests that are counted; the divisor that the reader of the count uses too.
const COUNTED: usize = 640;
/// Connections of HTTP/1 clients, and streams of an HTTP/2 client, at a time.
const ABREAST: usize = 16;

/// What is counted: everything between its call and its return.
#[inline(never)]
fn measured(requests: &mut dyn FnMut()) {
    requests();
}

/// Requirement: HTTP/1.1 goes through both proxies, carried over HTTP/2 in mesh TLS.
#[test]
fn pair_http1() {
    path(|world| async move { Client::http1(&world).await });
}

/// Requirement: gRPC-shaped requests go through both proxies on many streams of one connection.
#[test]
fn pair_http2() {
    path(|world| async move { Client::http2(&world).await });
}

/// Sets the path's world up, warms it, and lets the counted requests run.
fn path<F: Future<Output = Client>>(client: impl FnOnce(Rc<World>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let local = LocalSet::new();
    let client = local.block_on(&runtime, async {
        let client = client(World::new().await).await;
        client.ask(FIRST).await;
        client
    });
    measured(&mut || local.block_on(&runtime, client.ask(COUNTED)));
}

/// Two proxies and an application.
struct World {
    /// Takes the connections of clients, as if they had been redirected.
    outbound: SocketAddr,
}

impl World {
    async fn new() -> Rc<World> {
        let authority = ca();
        let application = application().await;
        let inbound_at = listener().await;
        let endpoint = Arc::new(Endpoint {
            identity: Some(expected(SERVER)),
            protocol: ProtocolHint::H2,
            transport_port: Some(inbound_at.local_addr().expect("address").port()),
            http2: Http2Params { keep_alive_interval: Some(HOUR), keep_alive_timeout: Some(HOUR), ..Http2Params::default() },
            ..Endpoint::unmeshed(application)
        });
        let server = worker(SERVER, mesh(&authority, &authority, SERVER, None), None);
        // Not the application's port: a connection with a transport header names that itself.
        serve(inbound_at, application, move |accepted| inbound::serve(accepted, server.clone()));
        let outbound_at = listener().await;
        let outbound = outbound_at.local_addr().expect("address");
        let client = worker(CLIENT, mesh(&authority, &authority, CLIENT, None), Some(endpoint));
        serve(outbound_at, "198.19.0.1:80".parse().expect("address"), move |accepted| outbound::serve(accepted, client.clone()));
        Rc::new(World { outbound })
    }
}

fn worker(name: &'static str, certificate: Mesh, endpoint: Option<Arc<Endpoint>>) -> Rc<Worker> {
    let mut environment = crate::settings::tests::least();
    environment.insert("LINKERD2_PROXY_IDENTITY_LOCAL_NAME", name);
    // Whoever counts instructions makes everything slow.
    environment.insert("LINKERD2_PROXY_INBOUND_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT", "1h");
    let settings = Arc::new(Settings::read(|name| environment.get(name).map(ToString::to_string)).expect("settings"));
    let endpoints = Endpoints { exists: true, endpoints: endpoint.into_iter().map(|endpoint| (endpoint.addr, endpoint)).collect() };
    let view = fixed(&settings, Discovery::Policy(Arc::new(policy())), endpoints);
    let accounts = Accounts::new(&Registry::new(HOUR), clock::lately);
    let (running, stopping) = watch::channel(false);
    spawn_local(async move {
        let _running = running;
        std::future::pending::<()>().await;
    });
    Rc::new(Worker::new(settings, view, watch::channel(Ok(Arc::new(certificate))).1, accounts, Drain::new(stopping), 1))
}

/// One route to one balanced backend, as the control plane sends it for a Service without documents of its own.
fn policy() -> OutboundPolicy {
    let service = Meta::Resource(Arc::new(Resource {
        kind: "Service".into(),
        namespace: "default".into(),
        name: "voting".into(),
        port: 80,
        ..Resource::default()
    }));
    let backend = Arc::new(Backend {
        meta: service.clone(),
        filters: Vec::new(),
        kind: BackendKind::Balance {
            path: "voting.default.svc.cluster.local:80".into(),
            load: PeakEwma { default_rtt: Duration::from_millis(30), decay: Duration::from_secs(10) },
        },
        queue: Queue { capacity: 100, failfast: Duration::from_secs(3) },
    });
    let backends = Distribution::FirstAvailable(vec![backend]);
    let rule = OutboundRule::to(backends.clone());
    let route = OutboundRoute { meta: Meta::default_named("http"), hosts: Vec::new(), rules: vec![rule] };
    let http = Arc::new(OutboundHttp::new(service.clone(), RouteKind::Http, vec![route]));
    let opaque = OutboundOpaque { parent: service.clone(), route: Meta::default_named("opaq"), verdict: OpaqueVerdict::Forward, backends };
    let protocol =
        OutboundProtocol::Detect { timeout: Duration::from_secs(10), http1: http.clone(), http2: http, opaque: Arc::new(opaque) };
    OutboundPolicy { meta: service, protocol }
}

/// Hands connections to a stage list as `accept` does; `original` is where they were meant to go.
fn serve<F>(listener: TcpListener, original: SocketAddr, stages: impl Fn(Accepted) -> F + 'static)
where
    F: Future<Output = Result<(), weft_core::outcome::Refusal>> + 'static,
{
    spawn_local(async move {
        loop {
            let (stream, peer) = listener.accept().await.expect("accepted");
            stream.set_nodelay(true).expect("set");
            let serving = stages(Accepted { stream, peer, original });
            spawn_local(async move {
                serving.await.expect("nothing is refused");
            });
        }
    });
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("bound")
}

/// Answers every HTTP/1.1 request without a body, and every HTTP/2 one, alike; costs as little as may be.
async fn application() -> SocketAddr {
    let listener = listener().await;
    let address = listener.local_addr().expect("address");
    spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("accepted");
            stream.set_nodelay(true).expect("set");
            spawn_local(answer(stream));
        }
    });
    address
}

async fn answer(mut stream: TcpStream) {
    let mut first = [0; 3];
    while stream.peek(&mut first).await.expect("bytes") < first.len() {}
    if first == *b"PRI" {
        return answer_http2(stream).await;
    }
    let mut buffer = [0; 4096];
    let mut length = 0;
    loop {
        let read = stream.read(&mut buffer[length..]).await.expect("bytes");
        if read == 0 {
            return;
        }
        length += read;
        if buffer[..length].ends_with(b"\r\n\r\n") {
            length = 0;
            stream.write_all(ANSWER).await.expect("written");
        }
    }
}

async fn answer_http2(stream: TcpStream) {
    let mut connection = h2::server::handshake(stream).await.expect("handshake");
    while let Some(request) = connection.accept().await {
        let (_, mut respond) = request.expect("request");
        let head = http::Response::builder().header("content-type", "application/grpc").body(()).expect("head");
        let mut body = respond.send_response(head, false).expect("sent");
        body.send_data(Bytes::from_static(MESSAGE), false).expect("sent");
        let trailers = http::HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), http::HeaderValue::from_static("0"))]);
        body.send_trailers(trailers).expect("sent");
    }
}

enum Client {
    Http1(Vec<tokio::sync::Mutex<TcpStream>>),
    Http2(h2::client::SendRequest<Bytes>),
}

impl Client {
    async fn http1(world: &World) -> Client {
        let mut connections = Vec::new();
        for _ in 0..ABREAST {
            let stream = connect(world).await;
            connections.push(tokio::sync::Mutex::new(stream));
        }
        Client::Http1(connections)
    }

    async fn http2(world: &World) -> Client {
        let (send, connection) = h2::client::handshake(connect(world).await).await.expect("handshake");
        spawn_local(connection);
        Client::Http2(send)
    }

    /// Sends `count` requests, [`ABREAST`] at a time, and checks that all are answered.
    async fn ask(&self, count: usize) {
        let asking = (0..ABREAST).map(|number| async move {
            for _ in 0..count / ABREAST {
                match self {
                    Client::Http1(connections) => ask_http1(&mut *connections[number].lock().await).await,
                    Client::Http2(send) => ask_http2(send.clone()).await,
                }
            }
        });
        futures_util::future::join_all(asking).await;
    }
}

async fn connect(world: &World) -> TcpStream {
    let stream = TcpStream::connect(world.outbound).await.expect("connected");
    stream.set_nodelay(true).expect("set");
    stream
}

async fn ask_http1(stream: &mut TcpStream) {
    stream.write_all(REQUEST).await.expect("written");
    let mut buffer = [0; 1024];
    let mut length = 0;
    while !buffer[..length].ends_with(BODY) {
        let read = stream.read(&mut buffer[length..]).await.expect("bytes");
        assert_ne!(read, 0, "answered with {}", buffer[..length].escape_ascii());
        length += read;
    }
    assert!(buffer.starts_with(b"HTTP/1.1 200 "), "answered with {}", buffer[..length].escape_ascii());
}

async fn ask_http2(send: h2::client::SendRequest<Bytes>) {
    let request =
        http::Request::post("http://voting/voting.Voting/Vote").header("content-type", "application/grpc").header("te", "trailers");
    let mut send = send.ready().await.expect("room for a stream");
    let (response, mut body) = send.send_request(request.body(()).expect("request"), false).expect("sent");
    body.send_data(Bytes::from_static(MESSAGE), true).expect("sent");
    let response = response.await.expect("answered");
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        let data = data.expect("data");
        body.flow_control().release_capacity(data.len()).expect("released");
    }
    let trailers = body.trailers().await.expect("trailers").expect("trailers");
    assert_eq!(trailers["grpc-status"], "0");
}

const REQUEST: &[u8] =
    b"GET /votes?poll=1 HTTP/1.1\r\nhost: voting\r\nuser-agent: icount\r\naccept: */*\r\nx-request-id: 0123456789abcdef\r\n\r\n";
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\ncontent-length: 64\r\n\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const BODY: &[u8] = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const MESSAGE: &[u8] = b"\0\0\0\0\x3b0123456789abcdef0123456789abcdef0123456789abcdef0123456789a";
