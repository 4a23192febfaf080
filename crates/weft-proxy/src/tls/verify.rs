//! Proves that a certificate chain leads to the mesh's anchors and bears the demanded name.
//!
//! Separate from the library's verifier because the name that is proven may be a SPIFFE URI, which webpki does not match, and may differ
//! from the name sent as SNI. It never reads revocation lists: leaves live a day.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use weft_core::identity::Identity;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Verifies the servers of one endpoint: they must prove one identity.
#[derive(Debug)]
pub(super) struct MeshServer {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    expected: Identity,
}

impl MeshServer {
    pub(super) fn new(roots: Arc<RootCertStore>, provider: Arc<CryptoProvider>, expected: Identity) -> Self {
        MeshServer { roots, provider, expected }
    }
}

impl ServerCertVerifier for MeshServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _sni: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let leaf = EndEntityCert::try_from(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        leaf.verify_for_usage(
            self.provider.signature_verification_algorithms.all,
            &self.roots.roots,
            intermediates,
            now,
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map_err(chain_error)?;
        match &self.expected {
            Identity::Dns(name) => {
                let name = ServerName::try_from(name.as_ref()).map_err(|_| CertificateError::NotValidForName)?;
                leaf.verify_is_valid_for_subject_name(&name).map_err(|_| CertificateError::NotValidForNameContext {
                    expected: name.to_owned(),
                    presented: leaf.valid_dns_names().chain(leaf.valid_uri_names()).map(str::to_owned).collect(),
                })?;
            }
            Identity::Uri(_) => {
                // The library's own error has no place for a URI.
                let found = identity_of(end_entity).map_err(Error::General)?;
                if found != self.expected {
                    return Err(Error::General(format!("the certificate is not valid for name \"{}\", it is of {found}", self.expected)));
                }
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("mesh TLS is TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The name that a verified leaf certificate bears: its first subject alternative name that is a mesh identity, URIs before DNS names.
/// A SPIFFE certificate's identity is its URI; the DNS names that it may have besides are for finding it. Errors say why there is none.
pub(super) fn identity_of(leaf: &CertificateDer<'_>) -> Result<Identity, String> {
    identity_in(&parse(leaf)?)
}

/// The same of a session that was resumed: nobody has looked at its certificate since the handshake that it goes back to, and tickets may
/// outlive certificates by hours.
pub(super) fn identity_still(leaf: &CertificateDer<'_>, now: SystemTime) -> Result<Identity, String> {
    let cert = parse(leaf)?;
    let end = UNIX_EPOCH + Duration::from_secs(u64::try_from(cert.validity().not_after.timestamp()).unwrap_or_default());
    if end < now {
        return Err("the certificate of the resumed session has ended".to_owned());
    }
    identity_in(&cert)
}

fn parse<'a>(leaf: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, String> {
    X509Certificate::from_der(leaf).map(|(_, cert)| cert).map_err(|e| format!("the certificate cannot be read: {e}"))
}

fn identity_in(cert: &X509Certificate<'_>) -> Result<Identity, String> {
    let names = cert.subject_alternative_name().map_err(|e| format!("the certificate's names cannot be read: {e}"))?;
    let names = names.map(|ext| ext.value.general_names.as_slice()).unwrap_or_default();
    let uris = names.iter().filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None });
    let dns = names.iter().filter_map(|name| if let GeneralName::DNSName(dns) = name { Some(*dns) } else { None });
    uris.chain(dns).find_map(|name| Identity::parse(name).ok()).ok_or_else(|| "the certificate bears no mesh identity".to_owned())
}

fn chain_error(error: webpki::Error) -> Error {
    match error {
        webpki::Error::CertExpired { .. } => CertificateError::Expired.into(),
        webpki::Error::CertNotValidYet { .. } => CertificateError::NotValidYet.into(),
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer.into(),
        other => Error::General(format!("the certificate chain does not hold: {other}")),
    }
}
