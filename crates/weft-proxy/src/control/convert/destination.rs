//! Endpoints.

use std::net::SocketAddr;
use std::sync::Arc;

use weft_core::identity::Identity;
use weft_core::model::{Endpoint, Endpoints, Http2Params, Labels, ProtocolHint, ServerIdentity};

use super::shared::{duration, meta, port, socket_addr};
use super::{Invalid, invalid, unknown};
use crate::r#gen::destination::{self as wire, protocol_hint, tls_identity, update::Update};

/// What is known after an update. An endpoint that cannot be read is left out and logged; the others stand.
pub(crate) fn applied(known: &Endpoints, update: &wire::Update) -> Endpoints {
    let mut endpoints = known.endpoints.clone();
    match &update.update {
        Some(Update::Add(set)) => {
            for addr in &set.addrs {
                match endpoint(addr, &set.metric_labels) {
                    Ok(endpoint) => {
                        endpoints.insert(endpoint.addr, Arc::new(endpoint));
                    }
                    Err(error) => tracing::warn!(%error, "an endpoint cannot be used"),
                }
            }
            Endpoints { exists: true, endpoints }
        }
        Some(Update::Remove(set)) => {
            for addr in set.addrs.iter().filter_map(|addr| socket_addr(addr).ok()) {
                endpoints.remove(&addr);
            }
            Endpoints { exists: true, endpoints }
        }
        Some(Update::NoEndpoints(none)) => Endpoints { exists: none.exists, endpoints: Default::default() },
        None => {
            tracing::warn!("an endpoint update is of a kind that this proxy does not know");
            known.clone()
        }
    }
}

/// One endpoint; its own labels win over those of its set.
pub(super) fn endpoint(found: &wire::WeightedAddr, set_labels: &Labels) -> Result<Endpoint, Invalid> {
    let Some(addr) = &found.addr else { return invalid("an endpoint without an address") };
    let addr = socket_addr(addr)?;
    let at = |Invalid(why): Invalid| Invalid(format!("endpoint {addr}: {why}"));
    let mut labels = set_labels.clone();
    labels.extend(found.metric_labels.iter().map(|(name, value)| (name.clone(), value.clone())));
    let hint = found.protocol_hint.unwrap_or_default();
    Ok(Endpoint {
        addr,
        weight: found.weight,
        labels: Arc::new(labels),
        identity: found.tls_identity.as_ref().map(server_identity).transpose().map_err(at)?,
        protocol: match hint.protocol {
            Some(protocol_hint::Protocol::H2(_)) => ProtocolHint::H2,
            Some(protocol_hint::Protocol::Opaque(_)) => ProtocolHint::Opaque,
            None => ProtocolHint::Unknown,
        },
        transport_port: transport_port(addr, hint.opaque_transport)?,
        authority: found.authority_override.as_ref().map(|o| o.authority_override.as_str()).filter(|a| !a.is_empty()).map(Into::into),
        http2: found.http2.as_ref().map(http2).unwrap_or_default(),
        meta: found.resource_ref.as_ref().map(|metadata| meta(Some(metadata))).transpose().map_err(at)?,
    })
}

fn transport_port(addr: SocketAddr, transport: Option<protocol_hint::OpaqueTransport>) -> Result<Option<u16>, Invalid> {
    match transport {
        None => Ok(None),
        Some(transport) => match port(transport.inbound_port)? {
            0 => invalid(format!("endpoint {addr}: its proxy's port is 0")),
            port => Ok(Some(port)),
        },
    }
}

/// An identity that cannot be read makes the endpoint unusable: the alternative would be to speak plaintext to it.
fn server_identity(found: &wire::TlsIdentity) -> Result<ServerIdentity, Invalid> {
    let name = found.server_name.as_ref().map(|name| name.name.as_str());
    let (identity, server_name) = match &found.strategy {
        Some(tls_identity::Strategy::DnsLikeIdentity(dns)) => (&dns.name, name.unwrap_or(&dns.name)),
        Some(tls_identity::Strategy::UriLikeIdentity(uri)) => match name {
            Some(name) => (&uri.uri, name),
            None => return invalid("a URI identity without a server name"),
        },
        None => return unknown("the identity"),
    };
    let identity = Identity::parse(identity).map_err(|error| Invalid(format!("identity {identity:?}: {}", error.0)))?;
    match Identity::parse(server_name) {
        Ok(Identity::Dns(server_name)) => Ok(ServerIdentity { identity, server_name }),
        _ => invalid(format!("server name {server_name:?}")),
    }
}

fn http2(found: &wire::Http2ClientParams) -> Http2Params {
    let flow = found.flow_control.unwrap_or_default();
    let alive = found.keep_alive.unwrap_or_default();
    Http2Params {
        initial_stream_window: Some(flow.initial_stream_window_size).filter(|size| *size > 0),
        initial_connection_window: Some(flow.initial_connection_window_size).filter(|size| *size > 0),
        keep_alive_interval: duration(alive.interval.as_ref()),
        keep_alive_timeout: duration(alive.timeout.as_ref()),
        keep_alive_while_idle: alive.while_idle,
    }
}
