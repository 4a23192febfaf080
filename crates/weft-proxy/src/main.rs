//! The Weft data plane: one process beside every workload.
#![deny(unsafe_code)]

mod admin;
mod control;
mod r#gen;
mod identity;
mod ready;
mod settings;
mod tls;

fn main() {}
