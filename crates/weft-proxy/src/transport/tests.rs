//! A client on a loopback socket in front of the transport stage of a worker that has no control plane.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use weft_core::identity::Identity;
use weft_core::transport_header::SessionProtocol;

use super::*;
use crate::account::Accounts;
use crate::clock;
use crate::control::backoff::Backoff;
use crate::control::channels::Channels;
use crate::control::connect::{Proof, Target, channel};
use crate::control::default_inbound::DefaultInbound;
use crate::control::stream::Patience;
use crate::control::view::{Asked, Driver, Limits, View};
use crate::drain::Drain;
use crate::metrics::Registry;
use crate::settings::Settings;
use crate::tls::tests::{ca, expected, mesh};
use crate::tls::{Alpn, Mesh};

const NAME: &str = "voting.default.serviceaccount.identity.weft.cluster.local";
const HOUR: Duration = Duration::from_secs(3600);
/// Redirected here from the application's port.
const REDIRECTED: &str = "10.0.0.1:8080";
/// The proxy's own port.
const DIRECT: &str = "10.0.0.1:4143";

/// A worker with this certificate. The driver is held so that what it publishes stays.
fn worker(certificate: Option<Mesh>) -> (Worker, Driver) {
    let mut environment = crate::settings::tests::least();
    environment.insert("LINKERD2_PROXY_INBOUND_DETECT_TIMEOUT", "300ms");
    let settings = Arc::new(Settings::read(|name| environment.get(name).map(ToString::to_string)).unwrap());
    let nowhere = || {
        let target = Target { place: settings.policy_addr.clone(), name: None, mark: None };
        Channels::new(move || channel(target.clone(), Proof::Certified(watch::channel(None).1)))
    };
    let patience = Patience { initial: HOUR, idle: HOUR, lifetime: HOUR, backoff: Backoff::CONTROL, chance: || 0.5 };
    let asked = Asked { destination: nowhere(), policy: nowhere(), workload: String::new(), context: String::new(), patience };
    let limits = Limits { keys: 16, outbound_idle: HOUR, inbound_idle: HOUR };
    let (view, driver) = View::new(asked, DefaultInbound::new(&settings), limits);
    let accounts = Accounts::new(&Registry::new(HOUR), clock::now);
    let drain = Drain::new(watch::channel(false).1);
    (Worker::new(settings, view, watch::channel(certificate.map(Arc::new).ok_or(tls::Absence::NotYet)).1, accounts, drain, 1), driver)
}

/// What the stage makes of a connection that was meant for `original` and on which `client` talks.
async fn arrive<F>(worker: &Worker, original: &str, client: impl FnOnce(TcpStream) -> F) -> Result<(Arrived, F::Output), Refusal>
where
    F: Future,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (stream, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let (served, peer) = accepted.unwrap();
    let accepted = Accepted { stream: served, peer, original: original.parse().unwrap() };
    let both = async { tokio::join!(open(accepted, worker), client(stream.unwrap())) };
    let (arrived, said) = tokio::time::timeout(Duration::from_secs(20), both).await.expect("the stage ends");
    arrived.map(|arrived| (arrived, said))
}

async fn read(mut io: Io, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    io.read_exact(&mut bytes).await.unwrap();
    bytes
}

async fn says(mut stream: TcpStream, bytes: &[u8]) -> TcpStream {
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Requirement: mesh TLS is terminated, its header names the application's port, and what follows it is not lost.
#[tokio::test]
async fn mesh_tls_with_a_header_arrives() {
    let ca = ca();
    let (worker, _driver) = worker(Some(mesh(&ca, &ca, NAME, None)));
    let client = mesh(&ca, &ca, "web.default", None).client(&expected(NAME), Alpn::Transport).unwrap();
    let header = TransportHeader { port: 9000, name: None, protocol: Some(SessionProtocol::Http1) }.encode();
    let talk = async |stream| {
        let (mut io, agreed) = tls::connect(client, NAME, stream, clock::wall()).await.unwrap();
        assert!(agreed);
        // In one write, and the header cut in two before it.
        let (first, second) = header.split_at(11);
        io.write_all(first).await.unwrap();
        io.flush().await.unwrap();
        io.write_all(&[second, b"GET"].concat()).await.unwrap();
        io.flush().await.unwrap();
        io
    };
    let (arrived, _io) = arrive(&worker, DIRECT, talk).await.unwrap();
    assert_eq!(arrived.arrival.target, "10.0.0.1:9000".parse().unwrap());
    assert_eq!(arrived.arrival.client, Client::Identified(Identity::parse("web.default").unwrap()));
    assert!(!arrived.opaque);
    assert_eq!(read(arrived.io, 3).await, b"GET");
}

/// Requirement: where the client's proxy found bytes that are no HTTP, nothing is looked for again: a server that speaks first is not
/// kept waiting a second time.
#[tokio::test]
async fn bytes_by_their_header_are_not_looked_into() {
    let ca = ca();
    let (worker, _driver) = worker(Some(mesh(&ca, &ca, NAME, None)));
    let client = mesh(&ca, &ca, "web.default", None).client(&expected(NAME), Alpn::Transport).unwrap();
    let header = TransportHeader { port: 2525, name: None, protocol: None }.encode();
    let talk = async |stream| {
        let (mut io, _) = tls::connect(client, NAME, stream, clock::wall()).await.unwrap();
        io.write_all(&header).await.unwrap();
        io.flush().await.unwrap();
        io
    };
    let (arrived, _io) = arrive(&worker, DIRECT, talk).await.unwrap();
    assert!(arrived.opaque);
}

/// Requirement: plain bytes go on as they came; a silent client and one that ends inside a TLS greeting count as opaque.
#[tokio::test]
async fn what_is_not_mesh_tls_goes_on_unchanged() {
    let (worker, _driver) = worker(None);
    let (arrived, _stream) = arrive(&worker, REDIRECTED, |stream| says(stream, b"GET /")).await.unwrap();
    assert!(!arrived.opaque && arrived.arrival.client == Client::Plaintext);
    assert_eq!(read(arrived.io, 5).await, b"GET /");

    let (arrived, _stream) = arrive(&worker, REDIRECTED, |stream| says(stream, b"")).await.unwrap();
    assert!(arrived.opaque);

    let cut = b"\x16\x03\x01\x01\x00\x01";
    let (arrived, ()) = arrive(&worker, REDIRECTED, async |stream| drop(says(stream, cut).await)).await.unwrap();
    assert!(arrived.opaque);
    assert_eq!(read(arrived.io, cut.len()).await, cut);
}

/// Requirement: TLS that asks for another name belongs to the application and is not touched.
#[tokio::test]
async fn foreign_tls_passes() {
    let ca = ca();
    let (worker, _driver) = worker(Some(mesh(&ca, &ca, NAME, None)));
    let config = mesh(&ca, &ca, "web.default", None).client(&expected("shop.example"), Alpn::None).unwrap();
    let talk = async |stream| {
        // Nobody answers: the greeting is all that is sent.
        let _ = tokio::time::timeout(Duration::from_millis(200), tls::connect(config, "shop.example", stream, clock::wall())).await;
    };
    let (arrived, ()) = arrive(&worker, REDIRECTED, talk).await.unwrap();
    assert!(arrived.opaque && arrived.arrival.client == Client::Plaintext);
    assert_eq!(read(arrived.io, 2).await, b"\x16\x03");
}

/// Requirement: a connection to the proxy's own port is refused unless it is mesh TLS whose header names another port.
#[tokio::test]
async fn direct_connections_need_a_header() {
    let ca = ca();
    let (worker, _driver) = worker(Some(mesh(&ca, &ca, NAME, None)));
    let refusal = arrive(&worker, DIRECT, |stream| says(stream, b"GET / HTTP/1.1\r\n")).await.err().unwrap();
    assert_eq!((refusal.stage, refusal.blame), (Stage::Transport, Blame::Client));

    let web = mesh(&ca, &ca, "web.default", None);
    let bare = web.client(&expected(NAME), Alpn::None).unwrap();
    let refusal = arrive(&worker, DIRECT, async |stream| tls::connect(bare, NAME, stream, clock::wall()).await).await.err().unwrap();
    assert!(refusal.reason.contains("no transport header"), "{refusal}");

    let looping = TransportHeader { port: 4143, name: None, protocol: None }.encode();
    let config = web.client(&expected(NAME), Alpn::Transport).unwrap();
    let talk = async |stream| {
        let (mut io, _) = tls::connect(config, NAME, stream, clock::wall()).await.unwrap();
        io.write_all(&looping).await.unwrap();
        io.flush().await.unwrap();
        io
    };
    let refusal = arrive(&worker, DIRECT, talk).await.err().unwrap();
    assert!(refusal.reason.contains("own port"), "{refusal}");
}
