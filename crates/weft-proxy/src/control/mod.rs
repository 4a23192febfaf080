//! What the proxy knows of the mesh, and how it comes to know it.
//!
//! Everything here runs on the admin thread, apart from the handles of `view` that the workers hold.

pub(crate) mod backoff;
pub(crate) mod channels;
pub(crate) mod connect;
pub(crate) mod convert;
pub(crate) mod default_inbound;
pub(crate) mod place;
pub(crate) mod stream;
pub(crate) mod view;
