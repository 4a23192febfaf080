//! Wire types and client stubs, generated from `proto/` by `make generate`. Do not edit.

#![allow(clippy::all, dead_code, missing_docs, reason = "generated")]

#[rustfmt::skip]
pub mod destination;

#[rustfmt::skip]
pub mod grpc_route;

#[rustfmt::skip]
pub mod http_route;

#[rustfmt::skip]
pub mod http_types;

#[rustfmt::skip]
pub mod identity;

#[rustfmt::skip]
pub mod inbound;

#[rustfmt::skip]
pub mod meta;

#[rustfmt::skip]
pub mod net;

#[rustfmt::skip]
pub mod opaque_route;

#[rustfmt::skip]
pub mod outbound;

#[rustfmt::skip]
pub mod tls_route;

#[rustfmt::skip]
pub mod transport_header;
