//! The limit stage: how many requests of one direction may be under way at once.
//!
//! Each worker has an equal part of the whole limit, so that none of them has to ask another. It refuses and never waits: what waits is
//! bounded elsewhere. It never looks at a request.

use std::cell::Cell;

use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};

/// One worker's part of a limit.
pub(crate) struct Limit {
    open: Cell<usize>,
    most: usize,
}

/// A request under way; dropped when it ends.
pub(crate) struct Place<'a>(&'a Cell<usize>);

impl Limit {
    /// The part of `most` that one of `workers` has; at least one.
    pub(crate) fn new(most: usize, workers: usize) -> Self {
        Limit { open: Cell::new(0), most: most.div_ceil(workers.max(1)).max(1) }
    }

    /// A place for one more request.
    pub(crate) fn enter(&self) -> Result<Place<'_>, Refusal> {
        if self.open.get() >= self.most {
            let reason = format!("{} requests are under way in this worker already", self.most);
            return Err(Refusal::new(Stage::Limit, Blame::Proxy, Retry::Safe, Cause::LoadShed, reason));
        }
        self.open.set(self.open.get() + 1);
        Ok(Place(&self.open))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement: past the limit a request is refused as safe to send again, and a request that ends makes room.
    #[test]
    fn a_full_worker_refuses_until_a_request_ends() {
        let limit = Limit::new(3, 2);
        let first = limit.enter().unwrap();
        let _second = limit.enter().unwrap();
        let refusal = limit.enter().err().unwrap();
        assert_eq!((refusal.cause, refusal.retry), (Cause::LoadShed, Retry::Safe));
        drop(first);
        assert!(limit.enter().is_ok());
    }
}
