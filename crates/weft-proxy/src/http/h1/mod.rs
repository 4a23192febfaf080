//! HTTP/1 connections: [`server::Server`] takes requests from a client, [`client::Connection`] sends them to a server.
//!
//! One connection is one shared value; the handles of an exchange ([`Source`], [`Sink`], [`Outgoing`], [`client::Pending`]) borrow it
//! only inside a poll, so one task reads a body and writes the other at the same time. Everything stays on one thread.
//! Reading stops when nobody takes the body, writing returns when the kernel has taken the bytes: nothing queues here.
//!
//! Hop-by-hop fields are this module's: they are taken off what arrives and put on what leaves. The one exception is `upgrade`,
//! which stays in a request that may be upgraded, so that the other side can be asked. `Expect: 100-continue` passes through.
//!
//! **Reuse.** A [`client::Connection`] is a handle that can be cloned; a pool keeps one while an exchange runs. When the response has been
//! read to its end, the request has been finished and both sides keep the connection, `is_reusable` becomes true by itself.
//!
//! Never decides where a request goes, never retries, never makes up a response other than to a request that cannot be read.

pub(crate) mod client;
mod connection;
mod outgoing;
pub(crate) mod server;
mod source;
#[cfg(test)]
mod tests;

pub(crate) use outgoing::Outgoing;
pub(crate) use server::Sink;
pub(crate) use source::Source;
