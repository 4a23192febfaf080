//! What this proxy proves and whom it believes.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::sign::SigningKey;
use rustls_pki_types::CertificateDer;

/// The certificate now in force, with its key and the anchors that peers are verified against.
#[derive(Clone, Debug)]
pub(crate) struct Certified {
    /// Leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: Arc<dyn SigningKey>,
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) not_after: SystemTime,
}
