//! Waits for the first of an exchange's time limits.
//!
//! Which one is due, and when, is weft-core's to say. Without limits it reads no clock and keeps nothing.

use std::cell::Cell;
use std::future::pending;

use weft_core::timeout::{Due, Limit, Limits, Progress, due};

use crate::clock;

/// The limits of one exchange and how far it has come.
pub(super) struct Patience(Option<Box<Watch>>);

struct Watch {
    limits: Limits,
    progress: Cell<Progress>,
}

impl Patience {
    pub(super) fn new(limits: Limits) -> Self {
        Patience(limits.any().then(|| {
            let progress = Progress { sent: None, answered: false, moved: clock::now() };
            Box::new(Watch { limits, progress: Cell::new(progress) })
        }))
    }

    /// Whether there is anything to wait for.
    pub(super) fn is_limited(&self) -> bool {
        self.0.is_some()
    }

    /// The request is complete.
    pub(super) fn sent(&self) {
        self.note(|watch, progress| {
            if watch.limits.response.is_some() {
                progress.sent = Some(clock::now());
            }
        });
    }

    /// The head of the final answer came.
    pub(super) fn answered(&self) {
        self.note(|_, progress| progress.answered = true);
        self.moved();
    }

    /// Bytes of a body moved.
    pub(super) fn moved(&self) {
        self.note(|watch, progress| {
            if watch.limits.idle.is_some() {
                progress.moved = clock::now();
            }
        });
    }

    /// Resolves when a limit has run out. May be dropped and called again; must be, after `sent`.
    pub(super) async fn over(&self) -> Limit {
        let Some(watch) = &self.0 else { return pending().await };
        loop {
            match due(&watch.limits, &watch.progress.get(), clock::now()) {
                Due::Never => return pending().await,
                Due::Now(limit) => return limit,
                Due::At(moment) => Box::pin(tokio::time::sleep_until(moment.into())).await,
            }
        }
    }

    fn note(&self, change: impl FnOnce(&Watch, &mut Progress)) {
        if let Some(watch) = &self.0 {
            let mut progress = watch.progress.get();
            change(watch, &mut progress);
            watch.progress.set(progress);
        }
    }
}
