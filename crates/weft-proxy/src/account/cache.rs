//! Keeps what was resolved for a label set, so that the next exchange with the same one neither formats text nor takes a lock.
//!
//! The key holds the shared values (documents, endpoints) that the labels were made from, and compares them by address: what a key
//! holds cannot be freed, so no other value can come to have its address. Full, the cache forgets everything and starts again: the
//! numbers themselves are not here.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use weft_core::identity::Client;
use weft_core::model::{Endpoint, Meta};

/// What the labels of one exchange are made from. Building one copies pointers only.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Key {
    Inbound { client: Client, loopback: bool, target: SocketAddr, server: Shared, route: Option<Shared>, authorization: Shared },
    Outbound { endpoint: Shared, authority: Box<str> },
    Route { parent: Shared, route: Option<Shared>, grpc: bool },
}

/// A shared value, compared by its address.
pub(super) enum Shared {
    Meta(Meta),
    Endpoint(Arc<Endpoint>),
}

impl Shared {
    fn address(&self) -> *const () {
        match self {
            Shared::Meta(Meta::Default(name)) => Arc::as_ptr(name).cast(),
            Shared::Meta(Meta::Resource(resource)) => Arc::as_ptr(resource).cast(),
            Shared::Endpoint(endpoint) => Arc::as_ptr(endpoint).cast(),
        }
    }
}

impl From<&Meta> for Shared {
    fn from(meta: &Meta) -> Self {
        Shared::Meta(meta.clone())
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl Eq for Shared {}

impl Hash for Shared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

pub(super) struct Cache<T>(RefCell<HashMap<Key, Rc<T>, ahash::RandomState>>);

impl<T> Cache<T> {
    pub(super) fn new() -> Self {
        Cache(RefCell::default())
    }

    /// What is known under the key, else what `make` gives.
    pub(super) fn get(&self, key: Key, make: impl FnOnce() -> T) -> Rc<T> {
        let mut entries = self.0.borrow_mut();
        if let Some(known) = entries.get(&key) {
            return known.clone();
        }
        if entries.len() >= ENTRIES {
            entries.clear();
        }
        entries.entry(key).or_insert(Rc::new(make())).clone()
    }
}

const ENTRIES: usize = 1024;
