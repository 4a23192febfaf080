//! Whether this proxy may be given traffic.
//!
//! Everything that has to be up takes a token when the process starts and gives it back once it is. A token that is lost on the way
//! (its holder died) is never given back, so the proxy never counts as ready.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who is still awaited.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness(Arc<Mutex<BTreeSet<&'static str>>>);

/// Held by what is not up yet.
#[derive(Debug)]
pub(crate) struct Awaited {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// From now on not ready, until the token is given back. Each name is taken once.
    pub(crate) fn awaits(&self, name: &'static str) -> Awaited {
        self.set().insert(name);
        Awaited { name, readiness: self.clone() }
    }

    /// The names still awaited; none: ready.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        self.set().iter().copied().collect()
    }

    fn set(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Awaited {
    /// It is up.
    pub(crate) fn up(self) {
        self.readiness.set().remove(self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement: ready when all that is awaited is up, and never if one of them died before.
    #[test]
    fn ready_when_nothing_is_awaited() {
        let readiness = Readiness::default();
        let (identity, listeners) = (readiness.awaits("identity"), readiness.awaits("listeners"));
        assert_eq!(readiness.missing(), ["identity", "listeners"]);
        identity.up();
        drop(listeners);
        assert_eq!(readiness.missing(), ["listeners"]);
    }
}
