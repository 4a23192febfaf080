//! What a worker remembers by key: destinations, balancers, connections to applications.
//!
//! Bounded: entries that nobody uses go when they were idle for long, and the longest idle ones first when there are too many. Entries in
//! use are never dropped, whatever the limit.

use std::cell::RefCell;
use std::hash::Hash;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ahash::AHashMap;

pub(crate) struct Cache<K, V> {
    entries: RefCell<AHashMap<K, Entry<V>>>,
    limit: usize,
}

struct Entry<V> {
    value: Rc<V>,
    used: Instant,
}

impl<K: Hash + Eq + Clone, V> Cache<K, V> {
    pub(crate) fn new(limit: usize) -> Self {
        Cache { entries: RefCell::default(), limit }
    }

    /// The entry, made when it is not there.
    pub(crate) fn entry(&self, key: &K, now: Instant, make: impl FnOnce() -> V) -> Rc<V> {
        let mut entries = self.entries.borrow_mut();
        if let Some(entry) = entries.get_mut(key) {
            entry.used = now;
            return entry.value.clone();
        }
        if entries.len() >= self.limit {
            evict_longest_idle(&mut entries);
        }
        let value = Rc::new(make());
        entries.insert(key.clone(), Entry { value: value.clone(), used: now });
        value
    }

    /// Puts a new value in the entry's place; those who hold the old one keep it.
    pub(crate) fn replace(&self, key: &K, now: Instant, value: V) -> Rc<V> {
        let value = Rc::new(value);
        self.entries.borrow_mut().insert(key.clone(), Entry { value: value.clone(), used: now });
        value
    }

    /// Calls `visit` for every value.
    pub(crate) fn each(&self, visit: impl Fn(&V)) {
        self.entries.borrow().values().for_each(|entry| visit(&entry.value));
    }

    /// Drops what nobody holds and nobody asked for since `idle`.
    pub(crate) fn sweep(&self, now: Instant, idle: Duration) {
        self.entries.borrow_mut().retain(|_, entry| Rc::strong_count(&entry.value) > 1 || now.saturating_duration_since(entry.used) < idle);
    }
}

fn evict_longest_idle<K: Hash + Eq + Clone, V>(entries: &mut AHashMap<K, Entry<V>>) {
    let idle = entries.iter().filter(|(_, entry)| Rc::strong_count(&entry.value) == 1);
    if let Some(key) = idle.min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone()) {
        entries.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    /// Requirement: the cache stays within its limit by dropping the longest idle entry, never one in use.
    #[test]
    fn the_longest_idle_entry_makes_room() {
        let cache = Cache::new(2);
        let start = clock::now();
        let held = cache.entry(&"held", start, || 1);
        cache.entry(&"idle", start + Duration::from_secs(1), || 2);
        cache.entry(&"new", start + Duration::from_secs(2), || 3);
        assert_eq!(*cache.entry(&"held", start, || 9), 1);
        assert_eq!(*cache.entry(&"idle", start, || 9), 9, "the idle entry was dropped and is made anew");
        drop(held);
    }

    /// Requirement: a sweep keeps what was used lately and what is in use.
    #[test]
    fn a_sweep_drops_only_the_idle() {
        let cache = Cache::new(8);
        let start = clock::now();
        let held = cache.entry(&1, start, || "held");
        cache.entry(&2, start, || "idle");
        cache.sweep(start + Duration::from_secs(60), Duration::from_secs(30));
        assert_eq!(cache.entries.borrow().len(), 1);
        drop(held);
    }
}
