//! The Weft data plane: one process beside every workload.
#![deny(unsafe_code)]

#[allow(dead_code, reason = "the stage lists call it")]
mod http;
mod io;
mod socket;
mod tls;

fn main() {}
