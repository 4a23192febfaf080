//! The Weft data plane: one process beside every workload.
#![deny(unsafe_code)]

mod http;
mod io;
mod relay;
mod socket;
mod tls;

fn main() {}
