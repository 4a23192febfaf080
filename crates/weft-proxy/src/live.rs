//! A worker's handle on one published value.
//!
//! Keeps the value last seen behind the worker's own counter and asks the publisher only when it changed, so that the request path takes no
//! lock and writes nothing that other workers read: a counter that all of them count up for every request travels from core to core. It
//! never publishes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::watch;

pub(crate) struct Live<T> {
    published: RefCell<watch::Receiver<T>>,
    seen: RefCell<Rc<T>>,
    /// Whether `seen` is the last word of a publisher that is gone.
    last: Cell<bool>,
}

impl<T: Clone> Live<T> {
    pub(crate) fn new(mut published: watch::Receiver<T>) -> Self {
        let seen = Rc::new(published.borrow_and_update().clone());
        Live { published: RefCell::new(published), seen: RefCell::new(seen), last: Cell::new(false) }
    }

    /// The value in force now.
    pub(crate) fn load(&self) -> Rc<T> {
        let mut published = self.published.borrow_mut();
        match published.has_changed() {
            Ok(false) => {}
            Ok(true) => *self.seen.borrow_mut() = Rc::new(published.borrow_and_update().clone()),
            // The publisher is gone. Its last word may not have been seen yet; it stays in force.
            Err(_) if self.last.get() => {}
            Err(_) => {
                self.last.set(true);
                *self.seen.borrow_mut() = Rc::new(published.borrow_and_update().clone());
            }
        }
        self.seen.borrow().clone()
    }

    /// Resolves when another value than the one last loaded is published; never if the publisher is gone.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> + 'static
    where
        T: 'static + Send + Sync,
    {
        let mut published = self.published.borrow().clone();
        async move {
            if published.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement: a request that begins after a change sees the new value, and the last value outlives its publisher.
    #[test]
    fn load_follows_and_keeps() {
        let (send, receive) = watch::channel(1);
        let live = Live::new(receive);
        assert_eq!(*live.load(), 1);
        send.send_replace(2);
        assert_eq!(*live.load(), 2);
        send.send_replace(3);
        drop(send);
        assert_eq!(*live.load(), 3);
        assert_eq!(*live.load(), 3);
    }
}
