//! Keys and what is published for each.
//!
//! The lock is taken when a worker first uses a key and when unused keys are looked for, never for a request. A full table forgets a
//! key that nobody holds, or else publishes a stand-in that nobody updates, counts it and says so.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Starts that may wait for the admin thread.
const STARTS: usize = 1024;

pub(super) struct Table<K, V> {
    kind: &'static str,
    limit: usize,
    entries: Mutex<HashMap<K, Entry<V>>>,
    starts: mpsc::Sender<Start<K, V>>,
    refused: AtomicU64,
}

struct Entry<V> {
    publish: watch::Sender<V>,
    live: Live,
    unused_since: Option<Instant>,
    /// Ends the watch when it is dropped with the entry.
    _alive: watch::Sender<()>,
}

/// Whether the watch of a key can reach the control plane at the moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Live(Arc<AtomicBool>);

impl Live {
    pub(super) fn set(&self, live: bool) {
        self.0.store(live, Ordering::Relaxed);
    }

    fn now(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A key whose watch is to begin.
pub(super) struct Start<K, V> {
    pub(super) key: K,
    publish: watch::Sender<V>,
    live: Live,
    ended: watch::Receiver<()>,
}

pub(super) struct Counts {
    pub(super) kind: &'static str,
    pub(super) keys: usize,
    pub(super) refused: u64,
}

impl<K, V> Start<K, V> {
    /// Runs the watch beside everything else, until its entry is forgotten.
    pub(super) fn run<F>(self, watch: impl FnOnce(K, watch::Sender<V>, Live) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Start { key, publish, live, mut ended } = self;
        let watching = watch(key, publish, live);
        tokio::spawn(async move {
            tokio::select! {
                () = watching => {}
                // The sender never sends; this is its end.
                _ = ended.changed() => {}
            }
        });
    }
}

impl<K: Hash + Eq + Clone + std::fmt::Debug, V> Table<K, V> {
    pub(super) fn new(kind: &'static str, limit: usize) -> (Self, mpsc::Receiver<Start<K, V>>) {
        let (starts, receiver) = mpsc::channel(STARTS);
        (Table { kind, limit, entries: Mutex::default(), starts, refused: AtomicU64::new(0) }, receiver)
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<K, Entry<V>>> {
        // Nothing under the lock leaves the map half changed.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of a key; `before` until its watch has published, `refused` for ever if there is no room for another watch.
    pub(super) fn watch(&self, key: K, before: impl FnOnce() -> V, refused: impl FnOnce() -> V) -> watch::Receiver<V> {
        let mut entries = self.entries();
        if let Some(entry) = entries.get(&key) {
            return entry.publish.subscribe();
        }
        if entries.len() >= self.limit && !forget_one_unused(&mut entries) {
            return self.refuse(&key, refused());
        }
        let (publish, receiver) = watch::channel(before());
        let (alive, ended) = watch::channel(());
        let live = Live::default();
        let start = Start { key: key.clone(), publish: publish.clone(), live: live.clone(), ended };
        if self.starts.try_send(start).is_err() {
            return self.refuse(&key, refused());
        }
        entries.insert(key, Entry { publish, live, unused_since: None, _alive: alive });
        receiver
    }

    fn refuse(&self, key: &K, value: V) -> watch::Receiver<V> {
        let before = self.refused.fetch_add(1, Ordering::Relaxed);
        // The first, then ever more rarely: whoever uses very many keys must not fill the log as well.
        if (before + 1).is_power_of_two() {
            tracing::warn!(kind = self.kind, ?key, limit = self.limit, refused = before + 1, "too many keys to ask about");
        }
        watch::channel(value).1
    }

    /// Forgets keys that nobody has held for `idle`, if the control plane could be asked about them again.
    pub(super) fn forget_unused(&self, now: Instant, idle: Duration) {
        self.entries().retain(|_, entry| {
            if entry.publish.receiver_count() > 0 {
                entry.unused_since = None;
                return true;
            }
            let since = *entry.unused_since.get_or_insert(now);
            now.duration_since(since) < idle || !entry.live.now()
        });
    }

    /// Ends every watch.
    pub(super) fn clear(&self) {
        self.entries().clear();
    }

    pub(super) fn counts(&self) -> Counts {
        Counts { kind: self.kind, keys: self.entries().len(), refused: self.refused.load(Ordering::Relaxed) }
    }
}

/// Makes room, first of what has been unused for longest.
fn forget_one_unused<K: Hash + Eq + Clone, V>(entries: &mut HashMap<K, Entry<V>>) -> bool {
    let unused = entries.iter().filter(|(_, entry)| entry.publish.receiver_count() == 0);
    // An entry not seen unused yet has no time; it counts as the newest.
    let oldest = unused.min_by_key(|(_, entry)| (entry.unused_since.is_none(), entry.unused_since)).map(|(key, _)| key.clone());
    oldest.is_some_and(|key| entries.remove(&key).is_some())
}
