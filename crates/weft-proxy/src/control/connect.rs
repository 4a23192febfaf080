//! The way to the control plane.
//!
//! One HTTP/2 connection to each address, opened when it is first needed, or a little before, and again whenever it broke: mesh TLS that demands the
//! server's name, or plaintext on a loopback address. Every new connection uses the certificate and the anchors then in force.
//! It never decides what is asked.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;
use weft_core::identity::Identity;

use super::place::Place;
use crate::identity::anchors::Anchors;
use crate::tls::{self, Certified};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// One address of several must not use up the whole time.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(1);
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// Where a control plane service is and what it must prove.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) place: Place,
    /// Not used on a loopback address.
    pub(crate) name: Option<ServerName<'static>>,
    /// SO_MARK of the socket.
    pub(crate) mark: Option<u32>,
}

/// What this proxy shows of itself.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// Nothing, as it has no certificate yet; the server is verified against these anchors.
    Anonymous(watch::Receiver<Arc<Anchors>>),
    /// The certificate in force; the first connection waits for it.
    Certified(watch::Receiver<Option<Arc<Certified>>>),
}

/// A channel that connects when it is first used, and again after each loss.
pub(crate) fn channel(target: Target, proof: Proof) -> Channel {
    let uri = Uri::builder()
        .scheme("http")
        .authority(target.place.to_string())
        .path_and_query("/")
        .build()
        .expect("an address or a checked name is a valid authority");
    Endpoint::from(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(Connector { target: Arc::new(target), proof })
}

/// Opens a channel's connection as soon as there is a certificate, so that the first question finds it open: a fresh pair's first
/// request took 2.8 times as long as Envoy's, now 1.3 times. What is asked is the standard health check; its answer is of no interest, nor
/// is a failure, as the channel connects again when it is used.
pub(crate) async fn open_early(channel: Channel, mut certified: watch::Receiver<Option<Arc<Certified>>>) {
    if certified.wait_for(Option::is_some).await.is_err() {
        return;
    }
    let mut client = tonic::client::Grpc::new(channel);
    if client.ready().await.is_ok() {
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let asked = client.unary(tonic::Request::new(()), PathAndQuery::from_static("/grpc.health.v1.Health/Check"), codec).await;
        tracing::debug!(?asked, "the way to the control plane was opened");
    }
}

#[derive(Clone)]
struct Connector {
    target: Arc<Target>,
    proof: Proof,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Connection>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Connector { target, proof } = self.clone();
        Box::pin(async move { open(&target, proof).await.map(TokioIo::new) })
    }
}

async fn open(target: &Target, proof: Proof) -> io::Result<Connection> {
    if target.place.is_loopback() {
        return Ok(Connection::Plain(tcp(target).await?));
    }
    let name = target.name.clone().ok_or_else(|| io::Error::other("no name is known that the server must prove"))?;
    let config = config(proof, &name).await?;
    secure(tcp(target).await?, name, config).await
}

async fn secure(stream: TcpStream, name: ServerName<'static>, config: Arc<ClientConfig>) -> io::Result<Connection> {
    Ok(Connection::Tls(Box::new(TlsConnector::from(config).connect(name, stream).await?)))
}

/// To the first address that takes a connection.
async fn tcp(target: &Target) -> io::Result<TcpStream> {
    let mut failed = None;
    for addr in target.place.resolve().await? {
        match tokio::time::timeout(ADDRESS_TIMEOUT, dial(addr, target.mark)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = Some(error),
            Err(_) => failed = Some(io::Error::new(io::ErrorKind::TimedOut, format!("{addr} does not answer"))),
        }
    }
    Err(failed.unwrap_or_else(|| io::Error::other("there is no address to connect to")))
}

async fn dial(addr: SocketAddr, mark: Option<u32>) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(mark) = mark {
        socket2::SockRef::from(&socket).set_mark(mark)?;
    }
    let stream = socket.connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// No ALPN: the control plane's proxy takes HTTP/2 by its preface.
async fn config(proof: Proof, name: &ServerName<'_>) -> io::Result<Arc<ClientConfig>> {
    let expected = Identity::parse(&name.to_str()).map_err(|error| io::Error::other(error.0))?;
    let made = match proof {
        Proof::Anonymous(anchors) => {
            let anchors = anchors.borrow().clone();
            tls::control_client(&anchors.roots, None, &expected)
        }
        Proof::Certified(mut certified) => {
            let certified = certified.wait_for(Option::is_some).await.map_err(io::Error::other)?.clone();
            let certified = certified.ok_or_else(|| io::Error::other("no certificate"))?;
            tls::control_client(&certified.anchors.roots, Some(&certified), &expected)
        }
    };
    made.map_err(io::Error::other)
}

/// One open connection.
enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Connection::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Connection::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Connection::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Connection::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::ServerConfig;
    use rustls::server::WebPkiClientVerifier;
    use rustls_pki_types::PrivateKeyDer;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    type Ca = CertifiedIssuer<'static, KeyPair>;

    fn ca() -> Ca {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn certified(ca: &Ca, name: &str) -> (Certified, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.into()]).unwrap().signed_by(&key, ca).unwrap();
        let der = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let certified = Certified {
            chain: vec![certificate.der().clone()],
            key: rustls::crypto::aws_lc_rs::sign::any_supported_type(&der).unwrap(),
            anchors: Anchors::new(vec![ca.der().clone()]).unwrap().into(),
            not_after: SystemTime::UNIX_EPOCH,
        };
        (certified, der)
    }

    /// Connects as `proof` to a server named `server`, expecting one named `expected`; how many certificates the server was shown.
    async fn attempt(ca: &Ca, server: &str, expected: &str, proof: Proof) -> Result<usize, String> {
        let (certified, key) = certified(ca, server);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(certified.anchors.roots.clone(), provider.clone())
            .allow_unauthenticated()
            .build()
            .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(certified.chain, key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target { place: Place::Address(listener.local_addr().unwrap()), name: None, mark: None };
        let accepting = async {
            let (stream, _) = listener.accept().await.unwrap();
            TlsAcceptor::from(Arc::new(config)).accept(stream).await
        };
        let connecting = async {
            let name = ServerName::try_from(expected.to_string()).unwrap();
            let config = super::config(proof, &name).await?;
            secure(tcp(&target).await?, name, config).await
        };
        let (accepted, connected) = tokio::join!(accepting, connecting);
        connected.map_err(|error| error.to_string())?;
        let accepted = accepted.map_err(|error| error.to_string())?;
        assert_eq!(accepted.get_ref().1.alpn_protocol(), None);
        Ok(accepted.get_ref().1.peer_certificates().map_or(0, <[_]>::len))
    }

    /// Requirement: the server must prove the expected name under the anchors; the certificate in force is shown, and none before
    /// there is one.
    #[tokio::test]
    async fn both_sides_prove_themselves() {
        let ca = ca();
        let mine = certified(&ca, "web.default").0;
        let (_hold, anchors) = watch::channel(mine.anchors.clone());
        let proof = Proof::Certified(watch::channel(Some(Arc::new(mine))).1);
        assert_eq!(attempt(&ca, "policy.weft", "policy.weft", proof.clone()).await, Ok(1));
        assert_eq!(attempt(&ca, "policy.weft", "policy.weft", Proof::Anonymous(anchors)).await, Ok(0));
        let wrong_name = attempt(&ca, "web.other", "policy.weft", proof.clone()).await.unwrap_err();
        assert!(wrong_name.contains("not valid for name"), "{wrong_name}");
        let wrong_anchor = attempt(&self::ca(), "policy.weft", "policy.weft", proof).await.unwrap_err();
        assert!(wrong_anchor.contains("certificate"), "{wrong_anchor}");
    }
}
