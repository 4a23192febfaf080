//! How a worker comes to rest: it is told to stop, open connections finish, then nothing is left.
//!
//! Counts the connections of one worker and carries the signal to stop. What the connections do about it is theirs to know.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::{Notify, watch};

pub(crate) struct Drain {
    open: Cell<usize>,
    changed: Notify,
    stopping: watch::Receiver<bool>,
}

/// One open connection; dropped when it ends.
pub(crate) struct Open(Rc<Drain>);

impl Drain {
    /// `stopping` becomes true when the process is asked to stop.
    pub(crate) fn new(stopping: watch::Receiver<bool>) -> Rc<Self> {
        Rc::new(Drain { open: Cell::new(0), changed: Notify::new(), stopping })
    }

    /// Counts one more connection, or none when `limit` are open.
    pub(crate) fn open(self: &Rc<Self>, limit: usize) -> Option<Open> {
        if self.open.get() >= limit {
            return None;
        }
        self.open.set(self.open.get() + 1);
        Some(Open(self.clone()))
    }

    /// Turns true when the process is asked to stop.
    pub(crate) fn signal(&self) -> watch::Receiver<bool> {
        self.stopping.clone()
    }

    /// Resolves when the process is asked to stop; at once afterwards.
    pub(crate) fn stopping(&self) -> impl Future<Output = ()> + 'static {
        let mut stopping = self.stopping.clone();
        async move {
            // An error means that the sender is gone: the process is ending.
            let _ = stopping.wait_for(|stop| *stop).await;
        }
    }

    /// Resolves when the process was asked to stop and no connection is open.
    pub(crate) async fn finished(&self) {
        self.stopping().await;
        while self.open.get() > 0 {
            self.changed.notified().await;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        // notify_one keeps the notice when nobody waits yet.
        self.0.changed.notify_one();
    }
}
