//! Wakes all who wait on one thread: the exchanges of a connection, when the policy of its port has changed.
//!
//! Neither locked nor shared between threads, and nothing is allocated for one who waits beyond the most that ever waited at once: every
//! request waits here. It says nothing about what has happened.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use slab::Slab;

#[derive(Default)]
pub(crate) struct Bell {
    waiting: RefCell<Slab<Waker>>,
    rung: Cell<u64>,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.rung.set(self.rung.get() + 1);
        // Woken by reference: who waits takes itself out when it is dropped.
        self.waiting.borrow().iter().for_each(|(_, waker)| waker.wake_by_ref());
    }

    /// Resolves when the bell rings after this call.
    pub(crate) fn rung(&self) -> Rung<'_> {
        Rung { bell: self, heard: self.rung.get(), place: None }
    }
}

pub(crate) struct Rung<'a> {
    bell: &'a Bell,
    heard: u64,
    place: Option<usize>,
}

impl Future for Rung<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.bell.rung.get() != self.heard {
            return Poll::Ready(());
        }
        let mut waiting = self.bell.waiting.borrow_mut();
        match self.place {
            None => {
                let place = waiting.insert(cx.waker().clone());
                drop(waiting);
                self.place = Some(place);
            }
            Some(place) if !waiting[place].will_wake(cx.waker()) => waiting[place] = cx.waker().clone(),
            Some(_) => {}
        }
        Poll::Pending
    }
}

impl Drop for Rung<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.bell.waiting.borrow_mut().remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Context;

    use super::*;

    /// Requirement: everybody who waits hears it, nobody who comes later does, and whoever leaves gives up its place.
    #[test]
    fn all_who_wait_hear_it() {
        let (bell, mut cx) = (Bell::default(), Context::from_waker(Waker::noop()));
        let (mut first, mut second) = (bell.rung(), bell.rung());
        assert!(Pin::new(&mut first).poll(&mut cx).is_pending());
        assert!(Pin::new(&mut second).poll(&mut cx).is_pending());
        drop(second);
        assert_eq!(bell.waiting.borrow().len(), 1);
        bell.ring();
        assert!(Pin::new(&mut first).poll(&mut cx).is_ready());
        assert!(Pin::new(&mut bell.rung()).poll(&mut cx).is_pending());
        drop(first);
        assert!(bell.waiting.borrow().is_empty());
    }
}
