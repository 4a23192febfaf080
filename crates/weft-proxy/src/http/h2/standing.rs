//! What has come on one HTTP/2 connection and waits for its readers, and how much each stream may be sent meanwhile.
//!
//! A connection's own window is larger than what its streams can fill, so that those that nobody reads never stop the others: requests of many
//! clients share one connection, and a client that takes its answers one after the other would wait for itself. What bounds memory is the window of
//! each stream: where another proxy is at the other end it is smaller the more stands there, from anybody else it stays as it is. Never ends a
//! stream, and never looks at what is in it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use h2::{FlowControl, RecvStream};
use slab::Slab;

/// The streams of one connection between proxies whose bodies have not come to their end.
///
/// Only between proxies: Go's client, told of a smaller window, still sends what it had already taken of the larger one behind its answer,
/// and loses the stream for it.
pub(super) struct Standing {
    streams: RefCell<Slab<FlowControl>>,
    /// The window of each stream while little stands.
    full: u32,
    /// The window that the peer was told last.
    told: Cell<u32>,
    /// How much had come when it was looked at last.
    looked: Cell<u64>,
}

impl Standing {
    pub(super) fn new(full: u32) -> Rc<Self> {
        Rc::new(Standing { streams: RefCell::default(), full, told: Cell::new(full), looked: Cell::new(0) })
    }

    /// Counts what comes on a stream for as long as the answer lives.
    pub(super) fn watch(self: &Rc<Self>, recv: &mut RecvStream) -> Seat {
        Seat { key: self.streams.borrow_mut().insert(recv.flow_control().clone()), standing: self.clone() }
    }

    /// The window that the peer should be told for all streams, if that is another than it was told; `came` is all that the connection has brought.
    pub(super) fn wanted(&self, came: u64) -> Option<u32> {
        if came - self.looked.get() < LOOK {
            return None;
        }
        self.looked.set(came);
        let stands = self.streams.borrow().iter().map(|(_, flow)| flow.used_capacity()).sum();
        Some(window(self.full, self.told.get(), stands)).filter(|window| *window != self.told.get())
    }

    pub(super) fn told(&self, window: u32) {
        self.told.set(window);
    }
}

/// A stream that is counted.
pub(super) struct Seat {
    standing: Rc<Standing>,
    key: usize,
}

impl Drop for Seat {
    fn drop(&mut self) {
        // The crate may have something to do for a stream's last handle: not under this borrow.
        let _flow = self.standing.streams.borrow_mut().remove(self.key);
    }
}

/// What a stream may be sent ahead where so much stands, having been allowed `now`: half of it for each time that it doubles.
fn window(full: u32, now: u32, stands: usize) -> u32 {
    let fitting = |mut stands: usize| {
        let mut window = full;
        while stands > MUCH && window > LEAST {
            stands /= 2;
            window = (window / 2).max(LEAST);
        }
        window
    };
    // More again when it would stay so with twice as much: what stands goes up and down all the time.
    fitting(stands).min(now.max(fitting(2 * stands)))
}

/// Bytes that may stand on one connection before its streams get less.
const MUCH: usize = 16 << 20;
/// What a stream gets whatever stands, in bytes. 1024 of them are 64 MiB.
const LEAST: u32 = 64 << 10;
/// Bytes that may come before it is looked at again; a look asks each stream.
const LOOK: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FULL: u32 = 1 << 20;

    /// Requirement: a stream gets all of its window while little stands, half for each doubling above that, and never less than the least.
    #[test]
    fn the_more_stands_the_less_a_stream_gets() {
        for (stands, expected) in [(0, FULL), (MUCH, FULL), (MUCH + 1, FULL / 2), (3 * MUCH, FULL / 4), (100 * MUCH, LEAST)] {
            assert_eq!(window(FULL, FULL, stands), expected, "{stands}");
        }
        assert_eq!(window(30_000, 30_000, 100 * MUCH), 30_000, "one that was set smaller stays");
    }

    /// Requirement: streams get more again when much less stands, not when a little less does: each change costs the peer a frame.
    #[test]
    fn what_goes_up_and_down_changes_nothing() {
        let less = window(FULL, FULL, MUCH + 1);
        assert_eq!([MUCH, MUCH / 2 + 1].map(|stands| window(FULL, less, stands)), [less, less]);
        assert_eq!(window(FULL, less, MUCH / 2), FULL);
    }

    proptest! {
        /// Requirement: whatever stood before, what is told stays as it is while as much stands, and is within the bounds.
        #[test]
        fn a_window_is_at_rest(stands in 0..1_usize << 32, before in 0..1_usize << 32) {
            let now = window(FULL, FULL, before);
            let next = window(FULL, now, stands);
            prop_assert!((LEAST..=FULL).contains(&next));
            prop_assert_eq!(window(FULL, next, stands), next);
        }
    }
}
