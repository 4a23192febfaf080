//! What can be seen of the certificate from outside.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug, Default)]
pub(crate) struct Status {
    /// Seconds since 1970; 0: none yet.
    expires: AtomicU64,
    refreshed: AtomicU64,
    refreshes: AtomicU64,
    failures: AtomicU64,
}

impl Status {
    pub(super) fn refreshed(&self, now: SystemTime, not_after: SystemTime) {
        self.expires.store(seconds(not_after), Ordering::Relaxed);
        self.refreshed.store(seconds(now), Ordering::Relaxed);
        self.refreshes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Metric lines.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        for (name, kind, help, value) in [
            ("expiration_timestamp_seconds", "gauge", "When the certificate ends.", &self.expires),
            ("refresh_timestamp_seconds", "gauge", "When the certificate was obtained.", &self.refreshed),
            ("refreshes_total", "counter", "Certificates obtained.", &self.refreshes),
            ("refresh_failures_total", "counter", "Requests for a certificate that failed.", &self.failures),
        ] {
            let name = format!("control_identity_cert_{name}");
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {}\n", value.load(Ordering::Relaxed));
        }
        text
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
