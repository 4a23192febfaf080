//! Inbound policies.

use std::sync::Arc;

use weft_core::identity::Identity;
use weft_core::model::{
    Authentication, Authorization, Filter, IdentitySuffix, InboundHttp, InboundPolicy, InboundProtocol, InboundRoute, InboundRule, Labels,
    Meta, Network, Resource,
};

use super::shared::{duration, each, grpc_failure, grpc_match, host, http_failure, http_match, meta, network, redirect, request_headers};
use super::{DETECT_TIMEOUT, Invalid, invalid, unknown};
use crate::r#gen::inbound as wire;

/// What one port allows.
pub(crate) fn inbound(found: &wire::Server) -> Result<InboundPolicy, Invalid> {
    use wire::proxy_protocol::Kind;
    let Some(kind) = found.protocol.as_ref().and_then(|protocol| protocol.kind.as_ref()) else {
        return unknown("the protocol");
    };
    let protocol = match kind {
        Kind::Detect(detect) => InboundProtocol::Detect {
            timeout: duration(detect.timeout.as_ref()).unwrap_or(DETECT_TIMEOUT),
            http: http(&detect.http_routes)?,
        },
        Kind::Http1(http1) => InboundProtocol::Http1(http(&http1.routes)?),
        Kind::Http2(http2) => InboundProtocol::Http2(http(&http2.routes)?),
        Kind::Grpc(found) => InboundProtocol::Grpc(grpc(&found.routes)?),
        Kind::Opaque(_) => InboundProtocol::Opaque,
        Kind::Tls(_) => InboundProtocol::Tls,
    };
    Ok(InboundPolicy { protocol, server: server(&found.labels), authorizations: authorizations(&found.authorizations) })
}

/// Stands in for a policy that could not be read: a rule that is not understood must not open a port, so nobody is let in.
pub(crate) fn invalid_inbound() -> InboundPolicy {
    InboundPolicy {
        protocol: InboundProtocol::Detect { timeout: DETECT_TIMEOUT, http: every_request("invalid") },
        server: Meta::default_named("invalid"),
        authorizations: Vec::new(),
    }
}

/// One route that takes every request.
pub(crate) fn every_request(name: &str) -> Arc<InboundHttp> {
    let rule = InboundRule { matches: Vec::new(), filters: Vec::new() };
    let route = InboundRoute { meta: Meta::default_named(name), hosts: Vec::new(), rules: vec![rule], authorizations: Vec::new() };
    Arc::new(InboundHttp { routes: vec![route] })
}

/// The Server that governs the port is named by labels, not by metadata.
fn server(labels: &Labels) -> Meta {
    let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
    match label("kind").as_str() {
        "" | "default" => Meta::default_named(&label("name")),
        kind => Meta::Resource(Arc::new(Resource {
            group: label("group"),
            kind: kind.into(),
            namespace: label("namespace"),
            name: label("name"),
            ..Resource::default()
        })),
    }
}

// --- routes ------------------------------------------------------------------------------------------------------------------------

fn http(routes: &[wire::HttpRoute]) -> Result<Arc<InboundHttp>, Invalid> {
    let routes = each(routes, |route| {
        let rules = each(&route.rules, |rule| {
            Ok(InboundRule { matches: each(&rule.matches, http_match)?, filters: each(&rule.filters, http_filter)? })
        })?;
        Ok(InboundRoute {
            meta: meta(route.metadata.as_ref())?,
            hosts: each(&route.hosts, host)?,
            rules,
            authorizations: authorizations(&route.authorizations),
        })
    })?;
    Ok(or_every_request(routes))
}

fn grpc(routes: &[wire::GrpcRoute]) -> Result<Arc<InboundHttp>, Invalid> {
    let routes = each(routes, |route| {
        let rules = each(&route.rules, |rule| {
            Ok(InboundRule { matches: each(&rule.matches, grpc_match)?, filters: each(&rule.filters, grpc_filter)? })
        })?;
        Ok(InboundRoute {
            meta: meta(route.metadata.as_ref())?,
            hosts: each(&route.hosts, host)?,
            rules,
            authorizations: authorizations(&route.authorizations),
        })
    })?;
    Ok(or_every_request(routes))
}

/// A port without routes takes every request; who may send them is the port's authorizations' affair.
fn or_every_request(routes: Vec<InboundRoute>) -> Arc<InboundHttp> {
    if routes.is_empty() { every_request("default") } else { Arc::new(InboundHttp { routes }) }
}

fn http_filter(filter: &wire::http_route::Filter) -> Result<Filter, Invalid> {
    use wire::http_route::filter::Kind;
    match &filter.kind {
        Some(Kind::FailureInjector(found)) => http_failure(found),
        Some(Kind::RequestHeaderModifier(found)) => request_headers(found),
        Some(Kind::Redirect(found)) => redirect(found),
        None => unknown("a filter"),
    }
}

fn grpc_filter(filter: &wire::grpc_route::Filter) -> Result<Filter, Invalid> {
    use wire::grpc_route::filter::Kind;
    match &filter.kind {
        Some(Kind::FailureInjector(found)) => grpc_failure(found),
        Some(Kind::RequestHeaderModifier(found)) => request_headers(found),
        None => unknown("a filter"),
    }
}

// --- authorizations ------------------------------------------------------------------------------------------------------------------

/// A grant that cannot be read grants nothing and is logged; the others stand.
fn authorizations(found: &[wire::Authz]) -> Vec<Arc<Authorization>> {
    let usable = found.iter().filter_map(|authz| match authorization(authz) {
        Ok(authorization) => Some(Arc::new(authorization)),
        Err(error) => {
            tracing::warn!(%error, "an authorization cannot be used");
            None
        }
    });
    usable.collect()
}

fn authorization(found: &wire::Authz) -> Result<Authorization, Invalid> {
    if found.networks.is_empty() {
        return invalid("an authorization without networks");
    }
    let meta = match &found.metadata {
        Some(metadata) => meta(Some(metadata))?,
        // Control planes before the metadata field.
        None => server(&found.labels),
    };
    let networks = each(&found.networks, |found| match &found.net {
        Some(net) => Ok(Network { net: network(net)?, except: each(&found.except, network)? }),
        None => unknown("a network"),
    })?;
    Ok(Authorization { meta, networks, authentication: authentication(found.authentication.as_ref())? })
}

fn authentication(found: Option<&wire::Authn>) -> Result<Authentication, Invalid> {
    use wire::authn::Permit;
    use wire::authn::permit_mesh_tls::Clients;
    match found.and_then(|authn| authn.permit.as_ref()) {
        Some(Permit::Unauthenticated(_)) => Ok(Authentication::Unauthenticated),
        Some(Permit::MeshTls(tls)) => match &tls.clients {
            Some(Clients::Unauthenticated(_)) => Ok(Authentication::TlsUnauthenticated),
            Some(Clients::Identities(clients)) => Ok(Authentication::TlsAuthenticated {
                identities: each(&clients.identities, |identity| {
                    Identity::parse(&identity.name).map_err(|error| Invalid(format!("identity {:?}: {}", identity.name, error.0)))
                })?,
                suffixes: clients.suffixes.iter().map(|suffix| IdentitySuffix(suffix.parts.clone())).collect(),
            }),
            None => unknown("the clients of an authorization"),
        },
        None => unknown("the authentication of an authorization"),
    }
}
