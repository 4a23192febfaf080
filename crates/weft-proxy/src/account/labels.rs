//! How what an exchange or a connection met is written as metric labels, in Linkerd's names and order.

use std::net::SocketAddr;

use weft_core::identity::{Client, Identity};
use weft_core::model::{Endpoint, Meta};
use weft_core::outcome::{Blame, Refusal, Retry, Stage};

use super::{Arrival, Direction, Peer, Tls};
use crate::metrics::Labels;

/// Why this proxy refused: `error` is Linkerd's label, the others are of small closed sets.
pub(super) fn refusal(refusal: &Refusal) -> Labels {
    let labels = Labels::default().with("error", refusal.cause.label()).with("stage", refusal.stage.name());
    labels.with("blame", refusal.blame.name()).with("retry", refusal.retry.name())
}

/// What broke an opaque connection off, in the same labels.
pub(super) fn broken_stream(error: &str, blame: Blame) -> Labels {
    let labels = Labels::default().with("error", error).with("stage", Stage::Exchange.name());
    labels.with("blame", blame.name()).with("retry", Retry::Unsafe.name())
}

pub(super) fn target(labels: Labels, addr: SocketAddr) -> Labels {
    labels.with("target_addr", addr).with("target_ip", addr.ip()).with("target_port", addr.port())
}

/// Where an inbound exchange came from and went to, and under which rules.
pub(super) fn inbound(arrival: &Arrival, server: &Meta, route: Option<&Meta>, authorization: Option<&Meta>) -> Labels {
    let labels = tls(target(Labels::default(), arrival.target), &client(arrival));
    let labels = meta(labels, "srv", server).with("srv_port", arrival.target.port());
    let labels = match route {
        Some(route) => meta(labels, "route", route),
        None => labels.with("route_group", "").with("route_kind", "default").with("route_name", "default"),
    };
    match authorization {
        Some(authorization) => meta(labels, "authz", authorization),
        None => labels,
    }
}

/// Where an outbound exchange went to.
pub(super) fn outbound(authority: &str, endpoint: &Endpoint) -> Labels {
    let labels = Labels::default().with("direction", "outbound").with("authority", authority);
    endpoint_labels(tls(target(labels, endpoint.addr), &server(endpoint)), endpoint)
}

pub(super) fn endpoint_labels(labels: Labels, endpoint: &Endpoint) -> Labels {
    endpoint.labels.iter().fold(labels, |labels, (name, value)| labels.with(&format!("dst_{name}"), value))
}

/// The parent and the route of route metrics.
pub(super) fn route(parent: &Meta, route: Option<&Meta>) -> Labels {
    let full = |mut labels: Labels, role: &str, meta: &Meta| {
        let port = if meta.port() == 0 { String::new() } else { meta.port().to_string() };
        let parts = [("group", meta.group()), ("kind", meta.kind()), ("namespace", meta.namespace()), ("name", meta.name())];
        for (part, value) in parts.into_iter().chain([("port", port.as_str()), ("section_name", meta.section())]) {
            labels.push(&format!("{role}_{part}"), value);
        }
        labels
    };
    let none = Meta::Default("default".into());
    full(full(Labels::default(), "parent", parent), "route", route.unwrap_or(&none))
}

pub(super) fn connection(direction: Direction, peer: Peer, addr: SocketAddr, security: &Tls<'_>) -> Labels {
    let labels = Labels::default().with("direction", direction.name()).with("peer", peer.name());
    tls(target(labels, addr), security)
}

/// How the client of an inbound connection proved itself.
pub(super) fn client(arrival: &Arrival) -> Tls<'_> {
    match &arrival.client {
        Client::Identified(identity) => Tls::Client(Some(identity)),
        Client::TlsAnonymous => Tls::Client(None),
        Client::Plaintext if arrival.remote.ip().is_loopback() => Tls::No("loopback"),
        Client::Plaintext => Tls::No("no_tls_from_remote"),
    }
}

/// How an endpoint has to prove itself.
pub(super) fn server(endpoint: &Endpoint) -> Tls<'_> {
    match &endpoint.identity {
        Some(server) => Tls::Server(&server.identity),
        None if endpoint.addr.ip().is_loopback() => Tls::No("loopback"),
        None => Tls::No("not_provided_by_service_discovery"),
    }
}

fn tls(labels: Labels, tls: &Tls<'_>) -> Labels {
    match tls {
        Tls::Client(identity) => labels.with("tls", "true").with("client_id", identity.map_or("", Identity::as_str)),
        Tls::Server(identity) => labels.with("tls", "true").with("server_id", identity),
        Tls::No(reason) => labels.with("tls", "no_identity").with("no_tls_reason", reason),
        Tls::Opaque(sni) => labels.with("tls", "opaque").with("sni", sni.unwrap_or_default()),
    }
}

fn meta(labels: Labels, role: &str, meta: &Meta) -> Labels {
    let parts = [("group", meta.group()), ("kind", meta.kind()), ("name", meta.name())];
    parts.into_iter().fold(labels, |labels, (part, value)| labels.with(&format!("{role}_{part}"), value))
}
