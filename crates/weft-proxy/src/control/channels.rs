//! As many connections to one service of the control plane as its streams need.
//!
//! Each question is a stream for as long as anybody wants its answer, and a server lets so many begin on one connection: what goes beyond
//! would wait in silence. It knows nothing of what is asked.

use std::sync::{Arc, Mutex, PoisonError};

use tonic::transport::Channel;

/// Streams on one connection: no server should allow fewer (RFC 9113 6.5.2).
const STREAMS: usize = 100;

/// Opens what is needed, of one kind.
pub(crate) struct Channels {
    open: Box<dyn Fn() -> Channel + Send + Sync>,
    ways: Mutex<Vec<Place>>,
}

/// Room for one stream; counts while it is held.
#[derive(Clone)]
pub(crate) struct Place {
    channel: Channel,
    streams: Arc<()>,
}

impl Channels {
    /// `open` is called within the runtime that drives the connections.
    pub(crate) fn new(open: impl Fn() -> Channel + Send + Sync + 'static) -> Self {
        Channels { open: Box::new(open), ways: Mutex::default() }
    }

    /// On the first connection that has room, or on another. Those without a stream are closed, the last one excepted.
    pub(crate) fn place(&self) -> Place {
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        let mut first = true;
        ways.retain(|way| std::mem::take(&mut first) || way.streams() > 0);
        match ways.iter().find(|way| way.streams() < STREAMS) {
            Some(way) => way.clone(),
            None => {
                let way = Place { channel: (self.open)(), streams: Arc::default() };
                ways.push(way.clone());
                way
            }
        }
    }
}

impl Place {
    /// A method, so that a closure which calls it holds the place and not just a part of it.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Of others than the list that this one is in.
    fn streams(&self) -> usize {
        Arc::strong_count(&self.streams) - 1
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tonic::transport::Endpoint;

    use super::*;

    /// Requirement: a connection is not asked for more streams than any server allows; one that has none any more is closed, and its room
    /// is used again.
    #[tokio::test]
    async fn streams_are_spread() {
        let opened = Arc::new(AtomicUsize::new(0));
        let counting = opened.clone();
        let channels = Channels::new(move || {
            counting.fetch_add(1, Ordering::Relaxed);
            Endpoint::from_static("http://127.0.0.1:1").connect_lazy()
        });
        let mut held: Vec<_> = (0..STREAMS * 3).map(|_| channels.place()).collect();
        assert_eq!(opened.load(Ordering::Relaxed), 3);
        // The third one is without streams, and the first has room.
        held.truncate(STREAMS * 2);
        held.remove(0);
        held.push(channels.place());
        assert_eq!(opened.load(Ordering::Relaxed), 3);
        assert_eq!(channels.ways.lock().unwrap().len(), 2);
        held.push(channels.place());
        assert_eq!(opened.load(Ordering::Relaxed), 4);
    }
}
