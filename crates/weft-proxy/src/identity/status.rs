//! What can be seen of the certificate from outside.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use weft_core::renewal::Held;

use crate::metrics::{Family, Kind, Labels, Samples};

#[derive(Debug, Default)]
pub(crate) struct Status {
    /// Seconds since 1970; 0: none yet.
    expires: AtomicU64,
    refreshed: AtomicU64,
    refreshes: AtomicU64,
    failures: AtomicU64,
}

impl Status {
    pub(super) fn refreshed(&self, held: Held) {
        self.expires.store(seconds(held.not_after), Ordering::Relaxed);
        self.refreshed.store(seconds(held.obtained), Ordering::Relaxed);
        self.refreshes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Certificates obtained, and requests that failed.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.refreshes.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed))
    }

    /// Gives its values to a scrape.
    pub(crate) fn sample(&self, samples: &mut Samples) {
        for (family, value) in
            [(&EXPIRES, &self.expires), (&REFRESHED, &self.refreshed), (&REFRESHES, &self.refreshes), (&FAILURES, &self.failures)]
        {
            samples.push(family, Labels::default(), value.load(Ordering::Relaxed) as f64);
        }
    }
}

/// All of them, for the reference.
pub(crate) static FAMILIES: &[&Family] = &[&EXPIRES, &REFRESHED, &REFRESHES, &FAILURES];
static EXPIRES: Family =
    Family { name: "control_identity_cert_expiration_timestamp_seconds", help: "When the certificate ends.", kind: Kind::Gauge };
static REFRESHED: Family =
    Family { name: "control_identity_cert_refresh_timestamp_seconds", help: "When the certificate was obtained.", kind: Kind::Gauge };
static REFRESHES: Family = Family { name: "control_identity_cert_refreshes_total", help: "Certificates obtained.", kind: Kind::Counter };
static FAILURES: Family =
    Family { name: "control_identity_cert_refresh_failures_total", help: "Requests for a certificate that failed.", kind: Kind::Counter };

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
