//! The one place that reads a clock. Decisions take the time as an argument.

use std::cell::Cell;
use std::time::{Instant, SystemTime};

thread_local! {
    /// The last reading, until something shows that time has passed.
    static READING: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The time at this moment: for whatever waits until a time has come.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> Instant {
    let now = Instant::now();
    READING.set(Some(now));
    now
}

/// The time at which this thread was given what it works on: one reading for all that is done with the bytes of one read. Reading
/// the clock at every question was 20 readings for a request in both proxies together, 2 % of their CPU.
///
/// Behind by the worker's work since then, which is no waiting. Whoever waits for a time must ask for [`now`], or would wait for ever.
pub(crate) fn lately() -> Instant {
    READING.get().unwrap_or_else(now)
}

/// Bytes have come, or the thread has slept: the next question is for another time than the last one.
pub(crate) fn passed() {
    READING.set(None);
}

/// The time of day, for certificates, which live by it, and for logs.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement: what is done for the same bytes is done at the same time; a look at the clock, or what came since, moves it on.
    #[test]
    fn it_stands_still_until_something_happens() {
        let first = lately();
        while now() == first {}
        let later = lately();
        assert!(later > first);
        assert_eq!(lately(), later);
        passed();
        assert!(lately() >= later);
    }
}
