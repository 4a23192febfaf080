//! What the mesh proxy decides.
//!
//! Plain values in, a value that explains itself out. This crate never opens a socket, never reads a clock, never awaits and
//! never sees protobuf: time, randomness and the compiled view are arguments, so every decision is a table test.
#![forbid(unsafe_code)]

pub mod balance;
pub mod budget;
pub mod detect;
pub mod headers;
pub mod http1;
pub mod http2;
pub mod identity;
pub mod model;
pub mod outcome;
pub mod overrides;
pub mod policy;
pub mod profile;
pub mod renewal;
pub mod retry;
pub mod route;
pub mod timeout;
pub mod transport_header;
