//! Open files: thousands of connections need more than the usual soft limit.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// As many as the hard limit allows. Where that fails, opening connections fails later and says so.
pub(crate) fn raise() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
