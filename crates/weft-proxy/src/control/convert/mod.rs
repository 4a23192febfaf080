//! From the wire to the compiled view: the only reader of protobuf.
//!
//! Every message becomes one whole value of `weft_core::model`, or an `Invalid` that says which piece was wrong. It decides nothing
//! about traffic, with one exception that belongs to reading: what stands in for a policy that could not be read. That refuses,
//! outbound with status 500, inbound by granting nobody anything.

mod destination;
mod inbound;
mod outbound;
mod profile;
mod shared;

use std::fmt;
use std::time::Duration;

pub(crate) use destination::applied;
pub(crate) use inbound::{every_request, inbound, invalid_inbound};
pub(crate) use outbound::{invalid_outbound, outbound};
pub(crate) use profile::profile;
pub(crate) use shared::tcp_address;

/// How long detection waits where the control plane does not say.
const DETECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A message that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid(pub(crate) String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn invalid<T>(why: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid(why.into()))
}

/// For a `oneof` without a member: nothing was set, or something that only a newer proxy knows.
fn unknown<T>(what: &str) -> Result<T, Invalid> {
    invalid(format!("{what} is missing or of a kind that this proxy does not know"))
}

#[cfg(test)]
mod policy_vectors;
#[cfg(test)]
mod route_vectors;
#[cfg(test)]
mod tests;
