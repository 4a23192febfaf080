//! The certificates that everything else is verified against.
//!
//! Either text from a setting, which never changes, or a file that is read again every few seconds: when anything in it changed, be it
//! a comment, the bundle is published; one that cannot be read leaves the last one in force.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::sync::watch;

/// How often a file is looked at. The content is compared, not its time: two writes within one tick of the clock must both be seen.
pub(crate) const POLL: Duration = Duration::from_secs(3);

/// Far more than any bundle holds.
const SIZE_LIMIT: u64 = 4 << 20;

/// What is trusted at one moment.
#[derive(Debug)]
pub(crate) struct Anchors {
    pub(crate) roots: Arc<RootCertStore>,
    /// The same, as they were written.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

impl Anchors {
    /// Fails when one of them cannot be used.
    pub(crate) fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|error| format!("a trust anchor cannot be used: {error}"))?;
        }
        Ok(Anchors { roots: Arc::new(roots), certificates })
    }
}

/// A file with anchors: run it on the admin thread.
pub(crate) struct Watched {
    path: PathBuf,
    text: Vec<u8>,
    publish: watch::Sender<Arc<Anchors>>,
}

/// Anchors that never change.
pub(crate) fn fixed(pem: &str) -> Result<watch::Receiver<Arc<Anchors>>, String> {
    Ok(watch::channel(Arc::new(parse(pem.as_bytes())?)).1)
}

/// Anchors in a file, which must be readable now.
pub(crate) fn watched(path: &Path) -> Result<(watch::Receiver<Arc<Anchors>>, Watched), String> {
    let (text, roots) = read(path).and_then(|text| parse(&text).map(|roots| (text, roots)))?;
    let (publish, receiver) = watch::channel(Arc::new(roots));
    Ok((receiver, Watched { path: path.into(), text, publish }))
}

impl Watched {
    /// Reads the file every `poll`, for ever.
    pub(crate) async fn run(mut self, poll: Duration) {
        let mut failing = false;
        loop {
            tokio::time::sleep(poll).await;
            match self.look() {
                Ok(true) => tracing::info!(path = %self.path.display(), anchors = self.publish.borrow().roots.len(), "new trust anchors"),
                Ok(false) => {}
                Err(why) if !failing => tracing::warn!(path = %self.path.display(), %why, "trust anchors stay as they were"),
                Err(_) => {
                    failing = true;
                    continue;
                }
            }
            failing = false;
        }
    }

    fn look(&mut self) -> Result<bool, String> {
        let text = read(&self.path)?;
        if text == self.text {
            return Ok(false);
        }
        let roots = parse(&text)?;
        self.text = text;
        self.publish.send_replace(Arc::new(roots));
        Ok(true)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?.len();
    if size > SIZE_LIMIT {
        return Err(format!("{}: {size} bytes are too many for trust anchors", path.display()));
    }
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Every certificate in the text must be readable, and there must be one.
fn parse(pem: &[u8]) -> Result<Anchors, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| format!("the trust anchors are not PEM: {error}"))?;
    if certificates.is_empty() { Err("the trust anchors hold no certificate".into()) } else { Anchors::new(certificates) }
}
