//! The answer of the identity service, read and checked as a peer would check it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use weft_core::renewal::Held;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::r#gen::identity::CertifyResponse;

/// A certificate for our key, with what leads from it to an anchor.
pub(super) struct Leaf {
    /// Leaf first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) held: Held,
}

impl Leaf {
    /// Reads the answer (DER); errors say what is wrong with it.
    pub(super) fn read(response: CertifyResponse, key: &Arc<dyn SigningKey>, obtained: SystemTime) -> Result<Leaf, String> {
        let mut chain = vec![CertificateDer::from(response.leaf_certificate)];
        chain.extend(response.intermediate_certificates.into_iter().map(CertificateDer::from));
        let mut not_after = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::MAX >> 12);
        for certificate in &chain {
            let (_, parsed) =
                X509Certificate::from_der(certificate).map_err(|error| format!("the issued certificate cannot be read: {error}"))?;
            let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
            // A chain ends with its shortest part.
            not_after = not_after.min(UNIX_EPOCH + Duration::from_secs(seconds));
        }
        if let Some(valid_until) = response.valid_until.and_then(|time| SystemTime::try_from(time).ok()) {
            not_after = not_after.min(valid_until);
        }
        CertifiedKey::new(chain.clone(), key.clone()).keys_match().map_err(|_| "the issued certificate is for another key".to_string())?;
        Ok(Leaf { chain, held: Held { obtained, not_after } })
    }

    /// Whether a peer that trusts `roots` would accept it, as client and as server, under `name`.
    pub(super) fn verify(&self, name: &ServerName<'_>, roots: &RootCertStore, now: SystemTime) -> Result<(), String> {
        let refused = |error: webpki::Error| format!("the issued certificate would be refused by peers: {error}");
        let [leaf, intermediates @ ..] = self.chain.as_slice() else { return Err("no certificate was issued".into()) };
        let leaf = EndEntityCert::try_from(leaf).map_err(refused)?;
        let time = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
        for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
            leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &roots.roots, intermediates, time, usage, None, None).map_err(refused)?;
        }
        leaf.verify_is_valid_for_subject_name(name).map_err(refused)
    }
}
