//! Keeps what was resolved for a label set, so that the next exchange with the same one neither formats text nor takes a lock.
//!
//! A key holds the addresses of the shared values (documents, endpoints) that the labels were made from; the entry holds the values
//! themselves, so that no other value can come to have their address. Values are shared by all workers: a look-up must not touch
//! their reference counts. Full, the cache forgets everything and starts again: the numbers themselves are not here.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use weft_core::identity::Client;
use weft_core::model::{Endpoint, Meta};

/// What the labels of one exchange are made from.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Key {
    Inbound { client: Client, loopback: bool, target: SocketAddr, server: Address, route: Option<Address>, authorization: Address },
    Outbound { endpoint: Address, authority: Rc<str> },
    Route { parent: Address, route: Option<Address>, grpc: bool },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Address(*const ());

impl From<&Meta> for Address {
    fn from(meta: &Meta) -> Self {
        Address(match meta {
            Meta::Default(name) => Arc::as_ptr(name).cast(),
            Meta::Resource(resource) => Arc::as_ptr(resource).cast(),
        })
    }
}

impl From<&Arc<Endpoint>> for Address {
    fn from(endpoint: &Arc<Endpoint>) -> Self {
        Address(Arc::as_ptr(endpoint).cast())
    }
}

/// Keeps the values that a key has the addresses of.
pub(super) struct Kept {
    _metas: Vec<Meta>,
    _endpoint: Option<Arc<Endpoint>>,
}

impl Kept {
    pub(super) fn metas<'a>(metas: impl IntoIterator<Item = &'a Meta>) -> Self {
        Kept { _metas: metas.into_iter().cloned().collect(), _endpoint: None }
    }

    pub(super) fn endpoint(endpoint: &Arc<Endpoint>) -> Self {
        Kept { _metas: Vec::new(), _endpoint: Some(endpoint.clone()) }
    }
}

pub(super) struct Cache<T>(RefCell<HashMap<Key, Entry<T>, ahash::RandomState>>);

struct Entry<T> {
    value: Rc<T>,
    used: bool,
    _kept: Kept,
}

impl<T> Cache<T> {
    pub(super) fn new() -> Self {
        Cache(RefCell::default())
    }

    /// What is known under the key, else what `make` gives, together with the values of the key.
    pub(super) fn get(&self, key: Key, make: impl FnOnce() -> (T, Kept)) -> Rc<T> {
        let mut entries = self.0.borrow_mut();
        if let Some(known) = entries.get_mut(&key) {
            known.used = true;
            return known.value.clone();
        }
        if entries.len() >= ENTRIES {
            entries.clear();
        }
        let (made, kept) = make();
        let value = Rc::new(made);
        entries.insert(key, Entry { value: value.clone(), used: true, _kept: kept });
        value
    }

    /// Forgets what was not asked for since the last sweep: a handle that is kept keeps its series from being dropped.
    pub(super) fn sweep(&self) {
        self.0.borrow_mut().retain(|_, entry| std::mem::take(&mut entry.used));
    }
}

const ENTRIES: usize = 1024;
