//! Addresses, names, matches and filters: what both sides' policies are made of.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use ipnet::IpNet;
use regex::{Regex, RegexBuilder};
use weft_core::model::{
    Filter, HeaderMatch, HeaderModifier, HostMatch, HttpMatch, Meta, PathMatch, PathModifier, QueryMatch, Ratio, Redirect, Resource,
    RpcMatch, ValueMatch,
};

use super::{Invalid, invalid, unknown};
use crate::r#gen::{grpc_route, http_route, http_types, meta as wire_meta, net};

/// A compiled pattern may take this many bytes.
const REGEX_SIZE: usize = 1 << 20;

pub(super) fn ip(address: &Option<net::IpAddress>) -> Result<IpAddr, Invalid> {
    use net::ip_address::Ip;
    match address.as_ref().and_then(|address| address.ip.as_ref()) {
        Some(Ip::Ipv4(bits)) => Ok(Ipv4Addr::from(*bits).into()),
        Some(Ip::Ipv6(halves)) => Ok(Ipv6Addr::from(u128::from(halves.first) << 64 | u128::from(halves.last)).into()),
        None => unknown("an IP address"),
    }
}

pub(super) fn socket_addr(address: &net::TcpAddress) -> Result<SocketAddr, Invalid> {
    Ok(SocketAddr::new(ip(&address.ip)?, port(address.port)?))
}

/// The same address on the wire.
pub(crate) fn tcp_address(addr: SocketAddr) -> net::TcpAddress {
    use net::ip_address::Ip;
    let ip = match addr.ip() {
        IpAddr::V4(ip) => Ip::Ipv4(ip.into()),
        IpAddr::V6(ip) => {
            let bits = u128::from(ip);
            Ip::Ipv6(net::IPv6 { first: (bits >> 64) as u64, last: bits as u64 })
        }
    };
    net::TcpAddress { ip: Some(net::IpAddress { ip: Some(ip) }), port: addr.port().into() }
}

pub(super) fn network(network: &net::IpNetwork) -> Result<IpNet, Invalid> {
    let prefix = u8::try_from(network.prefix_len).map_err(|_| Invalid(format!("prefix length {}", network.prefix_len)))?;
    IpNet::new(ip(&network.ip)?, prefix).map_err(|_| Invalid(format!("prefix length {prefix}")))
}

pub(super) fn port(port: u32) -> Result<u16, Invalid> {
    u16::try_from(port).map_err(|_| Invalid(format!("port {port} is above 65535")))
}

pub(super) fn meta(metadata: Option<&wire_meta::Metadata>) -> Result<Meta, Invalid> {
    use wire_meta::metadata::Kind;
    match metadata.and_then(|metadata| metadata.kind.as_ref()) {
        Some(Kind::Default(name)) => Ok(Meta::default_named(name)),
        Some(Kind::Resource(r)) => Ok(Meta::Resource(Arc::new(Resource {
            group: r.group.clone(),
            kind: r.kind.clone(),
            namespace: r.namespace.clone(),
            name: r.name.clone(),
            section: r.section.clone(),
            port: port(r.port)?,
        }))),
        None => unknown("metadata"),
    }
}

/// A duration longer than nothing; zero and negative ones mean "none".
pub(super) fn duration(duration: Option<&prost_types::Duration>) -> Option<Duration> {
    duration.and_then(|duration| Duration::try_from(*duration).ok()).filter(|duration| !duration.is_zero())
}

pub(super) fn each<T, U>(items: &[T], convert: impl Fn(&T) -> Result<U, Invalid>) -> Result<Vec<U>, Invalid> {
    items.iter().map(convert).collect()
}

// --- matches ---------------------------------------------------------------------------------------------------------------------

pub(super) fn host(host: &http_route::HostMatch) -> Result<HostMatch, Invalid> {
    use http_route::host_match::Match;
    match &host.r#match {
        Some(Match::Exact(name)) => Ok(HostMatch::Exact(name.to_ascii_lowercase())),
        Some(Match::Suffix(suffix)) => Ok(suffix_match(&suffix.reverse_labels)),
        None => unknown("a host match"),
    }
}

pub(super) fn suffix_match(reverse_labels: &[String]) -> HostMatch {
    HostMatch::Suffix(reverse_labels.iter().map(|label| label.to_ascii_lowercase()).collect())
}

pub(super) fn http_match(found: &http_route::HttpRouteMatch) -> Result<HttpMatch, Invalid> {
    Ok(HttpMatch {
        path: found.path.as_ref().map(path).transpose()?,
        headers: each(&found.headers, header)?,
        query: each(&found.query_params, query)?,
        method: found.method.as_ref().map(method).transpose()?,
        rpc: None,
    })
}

pub(super) fn grpc_match(found: &grpc_route::GrpcRouteMatch) -> Result<HttpMatch, Invalid> {
    Ok(HttpMatch {
        headers: each(&found.headers, header)?,
        rpc: found.rpc.as_ref().map(|rpc| RpcMatch { service: rpc.service.clone(), method: rpc.method.clone() }),
        ..HttpMatch::default()
    })
}

fn path(path: &http_route::PathMatch) -> Result<PathMatch, Invalid> {
    use http_route::path_match::Kind;
    match &path.kind {
        Some(Kind::Exact(path)) => Ok(PathMatch::Exact(path.clone())),
        Some(Kind::Prefix(prefix)) if prefix.starts_with('/') => Ok(PathMatch::Prefix(prefix.clone())),
        Some(Kind::Prefix(prefix)) => invalid(format!("path prefix {prefix:?} does not begin with a slash")),
        Some(Kind::Regex(pattern)) => Ok(PathMatch::Regex(whole(pattern)?)),
        None => unknown("a path match"),
    }
}

fn header(header: &http_route::HeaderMatch) -> Result<HeaderMatch, Invalid> {
    use http_route::header_match::Value;
    let value = match &header.value {
        Some(Value::Exact(bytes)) => ValueMatch::Exact(bytes.clone()),
        Some(Value::Regex(pattern)) => ValueMatch::Regex(whole(pattern)?),
        None => return unknown("the value of a header match"),
    };
    Ok(HeaderMatch { name: header_name(&header.name)?, value })
}

fn query(query: &http_route::QueryParamMatch) -> Result<QueryMatch, Invalid> {
    use http_route::query_param_match::Value;
    let value = match &query.value {
        Some(Value::Exact(text)) => ValueMatch::Exact(text.clone().into_bytes()),
        Some(Value::Regex(pattern)) => ValueMatch::Regex(whole(pattern)?),
        None => return unknown("the value of a query match"),
    };
    Ok(QueryMatch { name: query.name.clone(), value })
}

pub(super) fn method(method: &http_types::HttpMethod) -> Result<Method, Invalid> {
    use http_types::http_method::{Registered, Type};
    let name = match &method.r#type {
        Some(Type::Registered(n)) => match Registered::try_from(*n) {
            Ok(registered) => registered.as_str_name(),
            Err(_) => return unknown("a method"),
        },
        Some(Type::Unregistered(name)) => name,
        None => return unknown("a method"),
    };
    name.parse().map_err(|_| Invalid(format!("method {name:?}")))
}

/// A pattern that must match all of the text, not a part of it.
pub(super) fn whole(pattern: &str) -> Result<Regex, Invalid> {
    // The pattern is tried alone first: one with unbalanced parentheses could otherwise undo the anchors around it.
    let compile = |pattern: &str| RegexBuilder::new(pattern).size_limit(REGEX_SIZE).build();
    compile(pattern).and_then(|_| compile(&format!("^(?:{pattern})$"))).map_err(|error| Invalid(format!("pattern {pattern:?}: {error}")))
}

// --- filters ---------------------------------------------------------------------------------------------------------------------

fn header_name(name: &str) -> Result<HeaderName, Invalid> {
    name.parse().map_err(|_| Invalid(format!("header name {name:?}")))
}

fn header_pairs(headers: &Option<http_types::Headers>) -> Result<Vec<(HeaderName, HeaderValue)>, Invalid> {
    let Some(headers) = headers else { return Ok(Vec::new()) };
    each(&headers.headers, |header| {
        let value = HeaderValue::from_bytes(&header.value).map_err(|_| Invalid(format!("the value of header {:?}", header.name)))?;
        Ok((header_name(&header.name)?, value))
    })
}

pub(super) fn request_headers(found: &http_route::RequestHeaderModifier) -> Result<Filter, Invalid> {
    Ok(Filter::RequestHeaders(modifier(&found.add, &found.set, &found.remove)?))
}

pub(super) fn response_headers(found: &http_route::ResponseHeaderModifier) -> Result<Filter, Invalid> {
    Ok(Filter::ResponseHeaders(modifier(&found.add, &found.set, &found.remove)?))
}

fn modifier(add: &Option<http_types::Headers>, set: &Option<http_types::Headers>, remove: &[String]) -> Result<HeaderModifier, Invalid> {
    Ok(HeaderModifier { add: header_pairs(add)?, set: header_pairs(set)?, remove: each(remove, |name| header_name(name))? })
}

pub(super) fn redirect(found: &http_route::RequestRedirect) -> Result<Filter, Invalid> {
    use http_route::path_modifier::Replace;
    let path = match &found.path {
        None => None,
        Some(modifier) => match &modifier.replace {
            Some(Replace::Full(path)) => Some(PathModifier::Full(path.clone())),
            Some(Replace::Prefix(prefix)) => Some(PathModifier::Prefix(prefix.clone())),
            None => return unknown("the path of a redirect"),
        },
    };
    let status = match found.status {
        0 => 301,
        status @ 300..=399 => status as u16,
        status => return invalid(format!("a redirect with status {status}")),
    };
    Ok(Filter::Redirect(Redirect {
        scheme: found.scheme.as_ref().map(scheme).transpose()?,
        host: Some(found.host.clone()).filter(|host| !host.is_empty()),
        path,
        port: Some(port(found.port)?).filter(|port| *port > 0),
        status,
    }))
}

fn scheme(scheme: &http_types::Scheme) -> Result<String, Invalid> {
    use http_types::scheme::{Registered, Type};
    match &scheme.r#type {
        Some(Type::Registered(n)) => match Registered::try_from(*n) {
            Ok(Registered::Http) => Ok("http".into()),
            Ok(Registered::Https) => Ok("https".into()),
            Err(_) => unknown("a scheme"),
        },
        Some(Type::Unregistered(name)) => {
            name.parse::<http::uri::Scheme>().map(|scheme| scheme.to_string()).map_err(|_| Invalid(format!("scheme {name:?}")))
        }
        None => unknown("a scheme"),
    }
}

pub(super) fn http_failure(found: &http_route::HttpFailureInjector) -> Result<Filter, Invalid> {
    let status = u16::try_from(found.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    match status {
        Some(status) if status.as_u16() >= 200 => {
            Ok(Filter::FailHttp { status: status.as_u16(), message: found.message.as_str().into(), ratio: ratio(&found.ratio)? })
        }
        _ => invalid(format!("an injected failure with status {}", found.status)),
    }
}

pub(super) fn grpc_failure(found: &grpc_route::GrpcFailureInjector) -> Result<Filter, Invalid> {
    Ok(Filter::FailGrpc { code: found.code, message: found.message.as_str().into(), ratio: ratio(&found.ratio)? })
}

fn ratio(ratio: &Option<http_route::Ratio>) -> Result<Ratio, Invalid> {
    match ratio {
        None => Ok(Ratio::ALWAYS),
        Some(r) if r.denominator > 0 && r.numerator <= r.denominator => Ok(Ratio { numerator: r.numerator, denominator: r.denominator }),
        Some(r) => invalid(format!("the ratio {}/{}", r.numerator, r.denominator)),
    }
}
