//! Mesh TLS: TLS 1.3 only, both sides proven by certificates of the mesh's own anchors.
//!
//! Decides nothing about who may talk to whom; it proves names. It holds the configurations made from the certificate in force, shared
//! by all workers so that session tickets work whichever worker accepts. Session tickets die with the certificate and anchors they were
//! made under, because a resumed session skips the chain check.

mod cipher;
mod handshake;
mod record;
pub(crate) mod stream;
mod verify;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs as provider;
use rustls::server::{UnbufferedServerConnection, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, CommonState, HandshakeKind, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use weft_core::identity::{Client, Identity};
use weft_core::model::ServerIdentity;

use crate::identity::anchors::Anchors;
use crate::io::{Io, Prefixed};
use stream::Stream;

/// ALPN of connections that begin with a transport header.
pub(crate) const ALPN_TRANSPORT: &[u8] = b"transport.l5d.io/v1";

/// The workload's certificate and what it trusts, at one moment.
pub(crate) struct Certified {
    /// Leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: Arc<dyn rustls::sign::SigningKey>,
    pub(crate) anchors: Arc<Anchors>,
    pub(crate) not_after: SystemTime,
}

impl fmt::Debug for Certified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certified").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

/// Why there are no configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// No certificate was issued so far.
    NotYet,
    /// The last one ended before there was another.
    Ended,
}

impl Absence {
    /// For the client, the log and the metric.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Absence::NotYet => "this workload has no certificate yet",
            Absence::Ended => "this workload's certificate has ended, and the identity service gave no other",
        }
    }
}

/// The configurations in force, or why there are none.
pub(crate) type Standing = Result<Arc<Mesh>, Absence>;

/// TLS configurations made from one `Certified`.
pub(crate) struct Mesh {
    server: Arc<ServerConfig>,
    /// Without resumption and verifier: each endpoint gets its own of both.
    certified: Arc<Certified>,
    provider: Arc<CryptoProvider>,
    resumes: bool,
}

impl Mesh {
    /// Fails when the chain and the key do not belong together or no anchor is usable. Unless it `resumes` sessions, every handshake is a
    /// whole one: no ticket is given or kept.
    pub(crate) fn new(certified: Arc<Certified>, resumes: bool) -> Result<Self, rustls::Error> {
        let provider = crypto();
        let clients = WebPkiClientVerifier::builder_with_provider(certified.anchors.roots.clone(), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|e| rustls::Error::General(e.to_string()))?;
        let key = CertifiedKey::new(certified.chain.clone(), certified.key.clone());
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        // For our own records.
        server.enable_secret_extraction = true;
        server.alpn_protocols = vec![ALPN_TRANSPORT.to_vec()];
        if resumes {
            server.ticketer = provider::Ticketer::new()?;
        } else {
            server.send_tls13_tickets = 0;
        }
        Ok(Mesh { server: Arc::new(server), certified, provider, resumes })
    }

    /// The configuration for connections to one endpoint. Each endpoint keeps its own: tickets are stored by server name, and replicas
    /// share a name but not their tickets.
    pub(crate) fn client(&self, expected: &ServerIdentity, alpn: Alpn) -> Result<Arc<ClientConfig>, rustls::Error> {
        // One endpoint, one worker: few tickets are ever in use.
        let tickets = if self.resumes { Resumption::in_memory_sessions(4) } else { Resumption::disabled() };
        client_config(&self.provider, &self.certified.anchors.roots, Some(&self.certified), &expected.identity, alpn, tickets)
    }
}

/// What a client offers besides the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpn {
    /// A transport header follows.
    Transport,
    None,
}

/// For the control streams: shows no certificate before there is one. Without tickets: connections are few and long.
pub(crate) fn control_client(
    roots: &Arc<RootCertStore>,
    certified: Option<&Certified>,
    expected: &Identity,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    client_config(&crypto(), roots, certified, expected, Alpn::None, Resumption::disabled())
}

fn client_config(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    certified: Option<&Certified>,
    expected: &Identity,
    alpn: Alpn,
    resumption: Resumption,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let verifier = verify::MeshServer::new(roots.clone(), provider.clone(), expected.clone());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match certified {
        Some(own) => {
            let key = CertifiedKey::new(own.chain.clone(), own.key.clone());
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
        }
        None => builder.with_no_client_auth(),
    };
    if alpn == Alpn::Transport {
        config.alpn_protocols = vec![ALPN_TRANSPORT.to_vec()];
    }
    config.resumption = resumption;
    // For our own records.
    config.enable_secret_extraction = true;
    Ok(Arc::new(config))
}

/// AES-128-GCM first: the fastest suite where the processor has AES, and strong enough for TLS 1.3.
fn crypto() -> Arc<CryptoProvider> {
    let mut provider = provider::default_provider();
    provider.cipher_suites = vec![
        provider::cipher_suite::TLS13_AES_128_GCM_SHA256,
        provider::cipher_suite::TLS13_AES_256_GCM_SHA384,
        provider::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    provider.kx_groups =
        vec![provider::kx_group::X25519MLKEM768, provider::kx_group::X25519, provider::kx_group::SECP256R1, provider::kx_group::SECP384R1];
    Arc::new(provider)
}

/// A terminated inbound connection.
pub(crate) struct Terminated {
    pub(crate) io: Io,
    pub(crate) client: Client,
    /// Whether a transport header is to be read first.
    pub(crate) transport_header: bool,
}

/// Terminates TLS that asked for this workload by name; a session that is resumed must have a certificate that is still good at `now`.
/// Errors are the handshake's. Boxed while it lasts, as in `connect`: it has kilobytes, and the task of a connection keeps room for all that it
/// ever awaits.
pub(crate) async fn accept(mesh: &Mesh, mut stream: Prefixed, now: SystemTime) -> io::Result<Terminated> {
    let session = UnbufferedServerConnection::new(mesh.server.clone()).map_err(io::Error::other)?;
    let (agreed, (client, transport_header)) = Box::pin(handshake::shake(session, &mut stream, |session| {
        let client = match session.peer_certificates().and_then(|chain| chain.first()) {
            None => Client::TlsAnonymous,
            Some(leaf) if resumed(session) => Client::Identified(verify::identity_still(leaf, now).map_err(invalid)?),
            Some(leaf) => Client::Identified(verify::identity_of(leaf).map_err(invalid)?),
        };
        Ok((client, session.alpn_protocol() == Some(ALPN_TRANSPORT)))
    }))
    .await?;
    let io = Io::tls(Stream::new(stream, agreed).map_err(io::Error::other)?);
    Ok(Terminated { io, client, transport_header })
}

/// Opens mesh TLS on a fresh connection; as `accept`, it looks at the certificate of a session that is resumed. Returns whether the peer
/// takes a transport header.
pub(crate) async fn connect(config: Arc<ClientConfig>, server_name: &str, stream: TcpStream, now: SystemTime) -> io::Result<(Io, bool)> {
    let name = ServerName::try_from(server_name.to_owned()).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
    let session = UnbufferedClientConnection::new(config, name).map_err(io::Error::other)?;
    let mut stream = Prefixed::new(stream);
    let (agreed, transport_header) = Box::pin(handshake::shake(session, &mut stream, |session| {
        if resumed(session)
            && let Some(leaf) = session.peer_certificates().and_then(|chain| chain.first())
        {
            verify::identity_still(leaf, now).map_err(invalid)?;
        }
        Ok(session.alpn_protocol() == Some(ALPN_TRANSPORT))
    }))
    .await?;
    Ok((Io::tls(Stream::new(stream, agreed).map_err(io::Error::other)?), transport_header))
}

fn resumed(session: &CommonState) -> bool {
    session.handshake_kind() == Some(HandshakeKind::Resumed)
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
pub(crate) mod tests;
