//! The Weft data plane: one process beside every workload.
#![deny(unsafe_code)]

mod control;
mod r#gen;
mod identity;
mod settings;
mod tls;

fn main() {}
