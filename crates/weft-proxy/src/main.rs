//! The Weft data plane: one process beside every workload.
#![deny(unsafe_code)]

mod metrics;

fn main() {}
