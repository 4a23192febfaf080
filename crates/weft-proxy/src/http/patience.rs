//! Waits for the first of an exchange's time limits.
//!
//! Which one is due, and when, is weft-core's to say. Without limits it reads no clock and keeps nothing; the limit of a body reads one
//! only when the client lets this side wait.

use std::cell::Cell;
use std::future::pending;
use std::time::Duration;

use weft_core::timeout::{Due, Limit, Limits, Owes, Progress, body_due, due};

use crate::clock;

/// The limits of one exchange and how far it has come.
pub(super) struct Patience {
    watch: Option<Box<Watch>>,
    /// How long the client may let a piece of its body be waited for.
    body: Option<Duration>,
    owes: Cell<Owes>,
}

struct Watch {
    limits: Limits,
    progress: Cell<Progress>,
}

impl Patience {
    /// `expects`: the client asked whether to send its body.
    pub(super) fn new(limits: Limits, expects: bool) -> Self {
        let watch = limits.any().then(|| {
            let progress = Progress { sent: None, answered: false, moved: clock::now() };
            Box::new(Watch { limits, progress: Cell::new(progress) })
        });
        Patience { watch, body: limits.body, owes: Cell::new(if expects { Owes::Nothing } else { Owes::Piece }) }
    }

    /// Whether there is anything to wait for.
    pub(super) fn is_limited(&self) -> bool {
        self.watch.is_some()
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
        let Some(watch) = &self.watch else { return pending().await };
        loop {
            match due(&watch.limits, &watch.progress.get(), clock::now()) {
                Due::Never => return pending().await,
                Due::Now(limit) => return limit,
                Due::At(moment) => Box::pin(tokio::time::sleep_until(moment.into())).await,
            }
        }
    }

    /// The client was told to go on (100), or went on by itself.
    pub(super) fn goes_on(&self) {
        if self.body.is_some() && self.owes.get() == Owes::Nothing {
            self.owes.set(Owes::PieceSince(clock::now()));
        }
    }

    /// The head of a final answer came, be it the one for the client or not: this attempt waits for no more of the body.
    pub(super) fn heard(&self) {
        self.owes.set(Owes::Answered);
    }

    /// Resolves when the client has let the next piece of its body be waited for too long. Counts from its first poll.
    pub(super) async fn body_over(&self) -> Limit {
        let Some(most) = self.body else { return pending().await };
        let asked = clock::now();
        loop {
            match body_due(most, self.owes.get(), asked, clock::now()) {
                Due::Never => return pending().await,
                Due::Now(limit) => return limit,
                // On the heap: the exchange, of which this is a part, is not to hold room for a timer that is seldom needed.
                Due::At(moment) => Box::pin(tokio::time::sleep_until(moment.into())).await,
            }
        }
    }

    fn note(&self, change: impl FnOnce(&Watch, &mut Progress)) {
        if let Some(watch) = &self.watch {
            let mut progress = watch.progress.get();
            change(watch, &mut progress);
            watch.progress.set(progress);
        }
    }
}
