//! The one place that reads a clock. Decisions take the time as an argument.

use std::time::{Instant, SystemTime};

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time of day, for certificates, which live by it, and for logs.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
