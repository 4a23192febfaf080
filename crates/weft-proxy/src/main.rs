//! The Weft data plane: one process beside every workload.
#![deny(unsafe_code)]

mod accept;
mod balance;
mod cache;
mod clock;
mod connect;
mod control;
mod detect;
mod discover;
mod drain;
mod r#gen;
mod http;
mod inbound;
mod io;
mod live;
mod outbound;
mod relay;
mod send;
mod settings;
mod socket;
mod tls;
mod transport;
mod worker;

fn main() {}
