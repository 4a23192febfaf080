//! What the admin port shows of this workload's identity: certificates, never a key.

use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

use super::anchors::Anchors;
use super::status::Status;
use crate::tls::Certified;

/// The certificate in force, and the anchors that connections are verified against; before there is a certificate, those that the
/// identity service is.
pub(crate) fn shown(name: &str, certified: Option<&Certified>, watched: &Anchors, status: &Status) -> Value {
    let (refreshes, failures) = status.counts();
    json!({
        "identity": name,
        "chain": pem(certified.map_or(&[][..], |certified| &certified.chain)),
        "anchors": pem(certified.map_or(&watched.certificates, |certified| &certified.anchors.certificates)),
        "refreshes": refreshes,
        "failures": failures,
    })
}

fn pem(certificates: &[CertificateDer<'_>]) -> Vec<String> {
    certificates.iter().map(|certificate| pem::encode(&pem::Pem::new("CERTIFICATE", certificate.as_ref()))).collect()
}
