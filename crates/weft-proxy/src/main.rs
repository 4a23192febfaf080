//! The Weft data plane: one process beside every workload.
#![deny(unsafe_code)]

mod io;
mod socket;
mod tls;

fn main() {}
