//! Two workloads over a real socket, with certificates of an authority in the process.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;

use super::*;
use crate::clock;

pub(crate) type Ca = CertifiedIssuer<'static, KeyPair>;

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn ca() -> Ca {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A workload of `ca` that trusts `trusted`; its certificate ended `ago`, or is good for an hour.
pub(crate) fn mesh(ca: &Ca, trusted: &Ca, name: &str, ago: Option<Duration>) -> Mesh {
    resuming(bearing(ca, trusted, CertificateParams::new(vec![name.into()]).unwrap(), ago))
}

/// The same with a SPIFFE URI behind its DNS name.
fn spiffe(ca: &Ca, name: &str, uri: &str) -> Mesh {
    let mut params = CertificateParams::new(vec![name.into()]).unwrap();
    params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
    resuming(bearing(ca, ca, params, None))
}

fn resuming(certified: Certified) -> Mesh {
    Mesh::new(Arc::new(certified), true).unwrap()
}

fn bearing(ca: &Ca, trusted: &Ca, mut params: CertificateParams, ago: Option<Duration>) -> Certified {
    let key = KeyPair::generate().unwrap();
    params.not_before = (clock::wall() - 2 * HOUR).into();
    params.not_after = ago.map_or(clock::wall() + HOUR, |ago| clock::wall() - ago).into();
    let leaf = params.signed_by(&key, ca).unwrap();
    let anchors = Anchors::new(vec![trusted.der().clone()]).unwrap().into();
    let key = provider::sign::any_supported_type(&PrivateKeyDer::Pkcs8(key.serialize_der().into())).unwrap();
    Certified { chain: vec![leaf.der().clone()], key, anchors, not_after: clock::wall() + HOUR }
}

pub(crate) fn expected(name: &str) -> ServerIdentity {
    ServerIdentity { identity: Identity::parse(name).unwrap(), server_name: name.into() }
}

/// The ends of a connection with mTLS between two workloads on it.
pub(crate) async fn secured((near, far): (TcpStream, TcpStream)) -> (Io, Io) {
    let ca = ca();
    let (server, client) = (mesh(&ca, &ca, "web.default", None), mesh(&ca, &ca, "api.default", None));
    let config = client.client(&expected("web.default"), Alpn::Transport).expect("configuration");
    let now = clock::wall();
    let (client, server) = tokio::join!(connect(config, "web.default", near, now), accept(&server, Prefixed::new(far), now));
    (client.expect("client").0, server.expect("server").io)
}

/// Connects with `config`; the server sends one byte. Who the server saw, and whether the client had to do a whole handshake.
async fn meet(server: &Mesh, config: Arc<ClientConfig>) -> Result<(Client, bool, HandshakeKind), String> {
    meet_at(clock::wall(), server, config).await
}

/// The same where the server takes it to be `now` when it looks at a resumed session.
async fn meet_at(now: SystemTime, server: &Mesh, config: Arc<ClientConfig>) -> Result<(Client, bool, HandshakeKind), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let serving = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut terminated = accept(server, Prefixed::new(stream), now).await.map_err(|error| error.to_string())?;
        // A client that refuses our certificate may be gone.
        let _ = terminated.io.write_all(b"!").await;
        let _ = terminated.io.shutdown().await;
        Ok::<_, String>((terminated.client, terminated.transport_header))
    };
    let connecting = async {
        let stream = TcpStream::connect(addr).await.unwrap();
        let name = ServerName::try_from("web.default").unwrap();
        let mut tls = TlsConnector::from(config).connect(name, stream).await.map_err(|error| error.to_string())?;
        let mut said = Vec::new();
        // Tickets come behind the handshake, in front of the first byte.
        tls.read_to_end(&mut said).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(tls.get_ref().1.handshake_kind().unwrap())
    };
    let (served, connected) = tokio::join!(serving, connecting);
    let kind = connected.map_err(|error| format!("{error}; the server: {:?}", served.as_ref().err()))?;
    let (client, header) = served?;
    Ok((client, header, kind))
}

/// Requirement: both sides prove themselves, and the transport header is agreed on only where the client offers it.
#[tokio::test]
async fn both_sides_are_proven() {
    let ca = ca();
    let (server, client) = (mesh(&ca, &ca, "web.default", None), mesh(&ca, &ca, "api.default", None));
    for (alpn, header) in [(Alpn::Transport, true), (Alpn::None, false)] {
        let (seen, agreed, _) = meet(&server, client.client(&expected("web.default"), alpn).unwrap()).await.unwrap();
        assert_eq!(seen, Client::Identified(Identity::parse("api.default").unwrap()));
        assert_eq!(agreed, header);
    }
    let roots = &client.certified.anchors.roots;
    let anonymous = control_client(roots, None, &Identity::parse("web.default").unwrap()).unwrap();
    assert_eq!(meet(&server, anonymous).await.unwrap().0, Client::TlsAnonymous);
}

/// Requirement: a certificate with a URI and a DNS name is its URI's, to servers and to clients; the DNS name alone proves it too where
/// that is what is asked for; another URI is refused.
#[tokio::test]
async fn a_spiffe_uri_is_who_somebody_is() {
    let ca = ca();
    let (web, api) = ("spiffe://cluster.local/ns/default/sa/web", "spiffe://cluster.local/ns/default/sa/api");
    let (server, client) = (spiffe(&ca, "web.default", web), spiffe(&ca, "api.default", api));
    let ask = |identity: &str| {
        let expected = ServerIdentity { identity: Identity::parse(identity).unwrap(), server_name: "web.default".into() };
        client.client(&expected, Alpn::Transport).unwrap()
    };
    for identity in [web, "web.default"] {
        let (seen, ..) = meet(&server, ask(identity)).await.unwrap();
        assert_eq!(seen, Client::Identified(Identity::parse(api).unwrap()));
    }
    for identity in [api, "spiffe://cluster.local/ns/default/sa/webb", "spiffe://other/ns/default/sa/web", "api.default"] {
        assert!(meet(&server, ask(identity)).await.unwrap_err().contains("not valid for name"), "{identity}");
    }
}

/// Requirement: a server with another name, an expired certificate or another authority is refused, and so is such a client.
#[tokio::test]
async fn what_is_not_proven_is_refused() {
    let (ca, other) = (ca(), ca());
    let client = mesh(&ca, &ca, "api.default", None);
    let to_web = || client.client(&expected("web.default"), Alpn::Transport).unwrap();
    for (server, why) in [
        (mesh(&ca, &ca, "db.default", None), "not valid for name"),
        (mesh(&ca, &ca, "web.default", Some(HOUR)), "Expired"),
        (mesh(&other, &ca, "web.default", None), "does not hold"),
    ] {
        let error = meet(&server, to_web()).await.unwrap_err();
        assert!(error.contains(why), "{why}: {error}");
    }
    let server = mesh(&ca, &ca, "web.default", None);
    for client in [mesh(&other, &ca, "api.default", None), mesh(&ca, &ca, "api.default", Some(HOUR))] {
        assert!(meet(&server, client.client(&expected("web.default"), Alpn::Transport).unwrap()).await.is_err());
    }
}

/// Requirement: a second connection resumes the session and the server still knows who the client is; after either side's certificate
/// was replaced there is nothing left to resume.
#[tokio::test]
async fn sessions_resume_and_end_with_the_certificate() {
    let ca = ca();
    let (server, client) = (mesh(&ca, &ca, "web.default", None), mesh(&ca, &ca, "api.default", None));
    let config = client.client(&expected("web.default"), Alpn::Transport).unwrap();
    assert_ne!(meet(&server, config.clone()).await.unwrap().2, HandshakeKind::Resumed);
    let (seen, _, kind) = meet(&server, config.clone()).await.unwrap();
    assert_eq!(kind, HandshakeKind::Resumed);
    assert_eq!(seen, Client::Identified(Identity::parse("api.default").unwrap()));

    let renewed = mesh(&ca, &ca, "web.default", None);
    assert_ne!(meet(&renewed, config).await.unwrap().2, HandshakeKind::Resumed);
    let renewed = mesh(&ca, &ca, "api.default", None).client(&expected("web.default"), Alpn::Transport).unwrap();
    assert_ne!(meet(&server, renewed).await.unwrap().2, HandshakeKind::Resumed);
}

/// Requirement: where sessions are not to be resumed, neither side does: not the client of a server that would, nor the other way round.
#[tokio::test]
async fn without_resumption_every_handshake_is_whole() {
    let ca = ca();
    let made = |name: &str, resumes| {
        let params = CertificateParams::new(vec![name.into()]).unwrap();
        Mesh::new(Arc::new(bearing(&ca, &ca, params, None)), resumes).unwrap()
    };
    for (of_server, of_client) in [(true, false), (false, true), (false, false)] {
        let server = made("web.default", of_server);
        let config = made("api.default", of_client).client(&expected("web.default"), Alpn::Transport).unwrap();
        for _ in 0..2 {
            assert_ne!(meet(&server, config.clone()).await.unwrap().2, HandshakeKind::Resumed);
        }
    }
}

/// Requirement: a session whose certificate has ended since is not resumed by a server, and not by a client either. The library looks at
/// certificates in whole handshakes only, and tickets live for hours.
#[tokio::test]
async fn a_resumed_session_ends_with_its_certificate() {
    let ca = ca();
    let (server, client) = (mesh(&ca, &ca, "web.default", None), mesh(&ca, &ca, "api.default", None));
    let config = client.client(&expected("web.default"), Alpn::Transport).unwrap();
    let (before, after) = (clock::wall() + HOUR / 2, clock::wall() + 2 * HOUR);
    assert_ne!(meet(&server, config.clone()).await.unwrap().2, HandshakeKind::Resumed);
    assert_eq!(meet_at(before, &server, config.clone()).await.unwrap().2, HandshakeKind::Resumed);
    assert!(meet_at(after, &server, config.clone()).await.unwrap_err().contains("the certificate of the resumed session has ended"));

    for (now, good) in [(before, true), (after, false)] {
        // A session to resume, as the last one may have been spent.
        meet(&server, config.clone()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let accepted = listener.accept().await.unwrap().0;
        let accepting = accept(&server, Prefixed::new(accepted), before);
        let (connected, _accepted) = tokio::join!(connect(config.clone(), "web.default", stream, now), accepting);
        assert_eq!(
            connected.map(drop).map_err(|error| error.to_string()).err(),
            (!good).then(|| "the certificate of the resumed session has ended".into())
        );
    }
}

/// Requirement: an anchor that is no longer trusted takes its sessions along, though the server keeps its certificate: what was proven
/// below it is not resumed, and the whole handshake that follows is refused.
#[tokio::test]
async fn sessions_end_with_the_anchor_they_were_made_under() {
    let (ours, theirs) = (ca(), ca());
    let trusting = |anchors: &[&Ca], certified: &Certified| {
        let anchors = Anchors::new(anchors.iter().map(|anchor| anchor.der().clone()).collect()).unwrap().into();
        let Certified { chain, key, not_after, .. } = certified;
        Mesh::new(Arc::new(Certified { chain: chain.clone(), key: key.clone(), anchors, not_after: *not_after }), true).unwrap()
    };
    let web = mesh(&ours, &ours, "web.default", None);
    let both = trusting(&[&ours, &theirs], &web.certified);
    let config = mesh(&theirs, &ours, "api.default", None).client(&expected("web.default"), Alpn::Transport).unwrap();
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        assert_eq!(meet(&both, config.clone()).await.unwrap().2, kind);
    }
    let one = trusting(&[&ours], &web.certified);
    assert!(meet(&one, config).await.is_err());
}
