//! Outbound policies.

use std::sync::Arc;
use std::time::Duration;

use weft_core::model::{
    Backend, BackendKind, Distribution, Filter, HostMatch, Labels, Meta, OpaqueVerdict, OutboundHttp, OutboundOpaque, OutboundPolicy,
    OutboundProtocol, OutboundRoute, OutboundRule, OutboundTls, PeakEwma, Queue, Ratio, RouteKind, Timeouts, TlsRoute,
};
use weft_core::retry;

use super::destination::endpoint;
use super::shared::{
    duration, each, grpc_failure, grpc_match, host, http_failure, http_match, meta, redirect, request_headers, response_headers,
    suffix_match,
};
use super::{DETECT_TIMEOUT, Invalid, invalid, unknown};
use crate::r#gen::{http_route as shared_route, opaque_route as shared_opaque, outbound as wire, tls_route as shared_tls};

/// What the control plane of Linkerd sends, where a message leaves it out.
const QUEUE: Queue = Queue { capacity: 100, failfast: Duration::from_secs(3) };
const LOAD: PeakEwma = PeakEwma { default_rtt: Duration::from_millis(30), decay: Duration::from_secs(10) };

/// What to do with connections to one destination.
pub(crate) fn outbound(found: &wire::OutboundPolicy) -> Result<OutboundPolicy, Invalid> {
    use wire::proxy_protocol::Kind;
    let parent = meta(found.metadata.as_ref())?;
    let Some(kind) = found.protocol.as_ref().and_then(|protocol| protocol.kind.as_ref()) else {
        return unknown("the protocol");
    };
    let protocol = match kind {
        Kind::Detect(detect) => {
            let (Some(http1), Some(http2), Some(opaque)) = (&detect.http1, &detect.http2, &detect.opaque) else {
                return invalid("detection without the policies of all protocols");
            };
            OutboundProtocol::Detect {
                timeout: duration(detect.timeout.as_ref()).unwrap_or(DETECT_TIMEOUT),
                http1: http(&parent, &http1.routes)?,
                http2: http(&parent, &http2.routes)?,
                opaque: opaque_policy(&parent, &opaque.routes)?,
            }
        }
        Kind::Opaque(opaque) => OutboundProtocol::Opaque(opaque_policy(&parent, &opaque.routes)?),
        Kind::Http1(http1) => OutboundProtocol::Http1(http(&parent, &http1.routes)?),
        Kind::Http2(http2) => OutboundProtocol::Http2(http(&parent, &http2.routes)?),
        Kind::Grpc(found) => OutboundProtocol::Grpc(grpc(&parent, &found.routes)?),
        Kind::Tls(found) => OutboundProtocol::Tls(tls(&parent, &found.routes)?),
    };
    Ok(OutboundPolicy { meta: parent, protocol })
}

/// Stands in for a policy that could not be read: every request is answered with 500, every other connection is closed.
pub(crate) fn invalid_outbound(why: &Invalid) -> OutboundPolicy {
    let meta = Meta::default_named("invalid");
    let message: Arc<str> = format!("invalid policy: {why}").into();
    let fail = Filter::FailHttp { status: 500, message: message.clone(), ratio: Ratio::ALWAYS };
    let rule = OutboundRule { filters: vec![fail], ..OutboundRule::to(Distribution::Empty) };
    let route = OutboundRoute { meta: meta.clone(), hosts: Vec::new(), rules: vec![rule] };
    let http = Arc::new(OutboundHttp::new(meta.clone(), RouteKind::Http, vec![route]));
    let opaque = OutboundOpaque {
        parent: meta.clone(),
        route: meta.clone(),
        verdict: OpaqueVerdict::Invalid(message),
        backends: Distribution::Empty,
    };
    let protocol = OutboundProtocol::Detect { timeout: DETECT_TIMEOUT, http1: http.clone(), http2: http, opaque: Arc::new(opaque) };
    OutboundPolicy { meta, protocol }
}

// --- routes ------------------------------------------------------------------------------------------------------------------------

fn http(parent: &Meta, routes: &[wire::HttpRoute]) -> Result<Arc<OutboundHttp>, Invalid> {
    let routes = each(routes, |route| {
        let rules = each(&route.rules, |rule| {
            Ok(OutboundRule {
                matches: each(&rule.matches, http_match)?,
                filters: each(&rule.filters, http_filter)?,
                backends: http_backends(rule.backends.as_ref())?,
                timeouts: timeouts(rule.timeouts.as_ref(), rule.request_timeout.as_ref()),
                retry: rule.retry.as_ref().map(http_retry),
                overridable: rule.allow_l5d_request_headers,
                classes: None,
            })
        })?;
        http_route(route.metadata.as_ref(), &route.hosts, rules)
    })?;
    Ok(Arc::new(OutboundHttp::new(parent.clone(), RouteKind::Http, routes)))
}

fn grpc(parent: &Meta, routes: &[wire::GrpcRoute]) -> Result<Arc<OutboundHttp>, Invalid> {
    let routes = each(routes, |route| {
        let rules = each(&route.rules, |rule| {
            Ok(OutboundRule {
                matches: each(&rule.matches, grpc_match)?,
                filters: each(&rule.filters, grpc_filter)?,
                backends: grpc_backends(rule.backends.as_ref())?,
                timeouts: timeouts(rule.timeouts.as_ref(), rule.request_timeout.as_ref()),
                retry: rule.retry.as_ref().map(grpc_retry),
                overridable: rule.allow_l5d_request_headers,
                classes: None,
            })
        })?;
        http_route(route.metadata.as_ref(), &route.hosts, rules)
    })?;
    Ok(Arc::new(OutboundHttp::new(parent.clone(), RouteKind::Grpc, routes)))
}

fn http_route(
    metadata: Option<&crate::r#gen::meta::Metadata>,
    hosts: &[shared_route::HostMatch],
    rules: Vec<OutboundRule>,
) -> Result<OutboundRoute, Invalid> {
    Ok(OutboundRoute { meta: meta(metadata)?, hosts: each(hosts, host)?, rules })
}

fn opaque_policy(parent: &Meta, routes: &[wire::OpaqueRoute]) -> Result<Arc<OutboundOpaque>, Invalid> {
    let [route] = routes else { return invalid(format!("{} opaque routes where one is expected", routes.len())) };
    let [rule] = route.rules.as_slice() else { return invalid("an opaque route that has not exactly one rule") };
    Ok(Arc::new(OutboundOpaque {
        parent: parent.clone(),
        route: meta(route.metadata.as_ref())?,
        verdict: opaque_verdict(&rule.filters)?,
        backends: opaque_backends(rule.backends.as_ref())?,
    }))
}

fn tls(parent: &Meta, routes: &[wire::TlsRoute]) -> Result<Arc<OutboundTls>, Invalid> {
    let routes = each(routes, |route| {
        let [rule] = route.rules.as_slice() else { return invalid("a TLS route that has not exactly one rule") };
        Ok(TlsRoute {
            meta: meta(route.metadata.as_ref())?,
            snis: each(&route.snis, sni)?,
            verdict: tls_verdict(&rule.filters)?,
            backends: tls_backends(rule.backends.as_ref())?,
        })
    })?;
    Ok(Arc::new(OutboundTls { parent: parent.clone(), routes }))
}

fn sni(sni: &shared_tls::SniMatch) -> Result<HostMatch, Invalid> {
    use shared_tls::sni_match::Match;
    match &sni.r#match {
        Some(Match::Exact(name)) => Ok(HostMatch::Exact(name.to_ascii_lowercase())),
        Some(Match::Suffix(suffix)) => Ok(suffix_match(&suffix.reverse_labels)),
        None => unknown("an SNI match"),
    }
}

fn timeouts(found: Option<&shared_route::Timeouts>, request: Option<&prost_types::Duration>) -> Timeouts {
    match found {
        Some(found) => Timeouts {
            request: duration(found.request.as_ref()),
            response: duration(found.response.as_ref()),
            idle: duration(found.idle.as_ref()),
        },
        // The older field, for control planes that know no other.
        None => Timeouts { request: duration(request), ..Timeouts::default() },
    }
}

fn http_retry(found: &wire::http_route::Retry) -> retry::Policy {
    let mut policy = retries(found.max_retries, found.max_request_bytes, found.timeout.as_ref(), found.backoff.as_ref());
    for range in found.conditions.iter().flat_map(|conditions| &conditions.status_ranges) {
        policy.statuses.insert(range.start, range.end);
    }
    policy
}

fn grpc_retry(found: &wire::grpc_route::Retry) -> retry::Policy {
    let mut policy = retries(found.max_retries, found.max_request_bytes, found.timeout.as_ref(), found.backoff.as_ref());
    if let Some(on) = &found.conditions {
        let codes = [(on.cancelled, 1), (on.deadine_exceeded, 4), (on.resource_exhausted, 8), (on.internal, 13), (on.unavailable, 14)];
        codes.iter().filter(|(wanted, _)| *wanted).for_each(|(_, code)| policy.grpc.insert(*code));
    }
    policy
}

fn retries(
    limit: u32,
    max_body: u32,
    timeout: Option<&prost_types::Duration>,
    backoff: Option<&wire::ExponentialBackoff>,
) -> retry::Policy {
    let default = retry::Policy::NONE;
    let backoff = backoff.map_or(default.backoff, |found| {
        let min = duration(found.min_backoff.as_ref()).unwrap_or(default.backoff.min);
        let max = duration(found.max_backoff.as_ref()).unwrap_or(default.backoff.max).max(min);
        retry::Backoff { min, max, jitter: found.jitter_ratio }
    });
    retry::Policy { limit, max_body: max_body as usize, timeout: duration(timeout), backoff, ..default }
}

// --- filters -----------------------------------------------------------------------------------------------------------------------

fn http_filter(filter: &wire::http_route::Filter) -> Result<Filter, Invalid> {
    use wire::http_route::filter::Kind;
    match &filter.kind {
        Some(Kind::FailureInjector(found)) => http_failure(found),
        Some(Kind::RequestHeaderModifier(found)) => request_headers(found),
        Some(Kind::ResponseHeaderModifier(found)) => response_headers(found),
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

fn forbidden(_: &shared_opaque::Forbidden) -> OpaqueVerdict {
    OpaqueVerdict::Forbidden
}

fn not_valid(found: &shared_opaque::Invalid) -> OpaqueVerdict {
    OpaqueVerdict::Invalid(found.message.as_str().into())
}

/// The wire has one type for each kind of route, equal but for their names; these make one function for each out of one text.
macro_rules! verdict {
    ($name:ident, $route:ident) => {
        /// The first filter decides.
        fn $name(filters: &[wire::$route::Filter]) -> Result<OpaqueVerdict, Invalid> {
            use wire::$route::filter::Kind;
            match filters.first().map(|filter| &filter.kind) {
                None => Ok(OpaqueVerdict::Forward),
                Some(Some(Kind::Forbidden(found))) => Ok(forbidden(found)),
                Some(Some(Kind::Invalid(found))) => Ok(not_valid(found)),
                Some(None) => unknown("a filter"),
            }
        }
    };
}

verdict!(opaque_verdict, opaque_route);
verdict!(tls_verdict, tls_route);

// --- backends ----------------------------------------------------------------------------------------------------------------------

macro_rules! backends {
    ($name:ident, $route:ident, $filter:expr) => {
        fn $name(found: Option<&wire::$route::Distribution>) -> Result<Distribution, Invalid> {
            use wire::$route::distribution::Kind;
            let one = |found: &wire::$route::RouteBackend| backend(found.backend.as_ref(), $filter(found)?);
            match found.and_then(|distribution| distribution.kind.as_ref()) {
                Some(Kind::Empty(_)) => Ok(Distribution::Empty),
                Some(Kind::FirstAvailable(first)) => Ok(Distribution::FirstAvailable(each(&first.backends, one)?)),
                Some(Kind::RandomAvailable(random)) => weighted(each(&random.backends, |weighted| match &weighted.backend {
                    Some(found) => Ok((one(found)?, weighted.weight)),
                    None => invalid("a weight without a backend"),
                })?),
                None => unknown("the distribution of backends"),
            }
        }
    };
}

backends!(http_backends, http_route, |found: &wire::http_route::RouteBackend| each(&found.filters, http_filter));
backends!(grpc_backends, grpc_route, |found: &wire::grpc_route::RouteBackend| each(&found.filters, grpc_filter));
backends!(opaque_backends, opaque_route, |_: &wire::opaque_route::RouteBackend| Ok(Vec::new()));
backends!(tls_backends, tls_route, |_: &wire::tls_route::RouteBackend| Ok(Vec::new()));

/// Backends of weight 0 get nothing, so they are not there at all; the sum of the rest must fit.
fn weighted(backends: Vec<(Arc<Backend>, u32)>) -> Result<Distribution, Invalid> {
    let backends: Vec<_> = backends.into_iter().filter(|(_, weight)| *weight > 0).collect();
    if backends.iter().try_fold(0u32, |sum, (_, weight)| sum.checked_add(*weight)).is_none() {
        return invalid("weights whose sum is above 4294967295");
    }
    Ok(if backends.is_empty() { Distribution::Empty } else { Distribution::Weighted(backends) })
}

fn backend(found: Option<&wire::Backend>, filters: Vec<Filter>) -> Result<Arc<Backend>, Invalid> {
    let Some(found) = found else { return unknown("a backend") };
    let kind = match &found.kind {
        Some(wire::backend::Kind::Forward(addr)) => BackendKind::Forward(Arc::new(endpoint(addr, &Labels::new())?)),
        Some(wire::backend::Kind::Balancer(balancer)) => balance(balancer)?,
        // How a backend is written that does not exist. Without a filter that answers in its place it may be one of a kind to come.
        None if filters.iter().any(always_fails) => BackendKind::Nowhere,
        None => return unknown("a backend"),
    };
    let queue = found.queue.as_ref().map_or(QUEUE, |queue| Queue {
        capacity: queue.capacity as usize,
        failfast: duration(queue.failfast_timeout.as_ref()).unwrap_or(QUEUE.failfast),
    });
    Ok(Arc::new(Backend { meta: meta(found.metadata.as_ref())?, filters, kind, queue }))
}

fn always_fails(filter: &Filter) -> bool {
    matches!(filter, Filter::FailHttp { ratio: Ratio::ALWAYS, .. } | Filter::FailGrpc { ratio: Ratio::ALWAYS, .. })
}

fn balance(found: &wire::backend::BalanceP2c) -> Result<BackendKind, Invalid> {
    use wire::backend::balance_p2c::Load;
    use wire::backend::endpoint_discovery::Kind;
    let path = match found.discovery.as_ref().and_then(|discovery| discovery.kind.as_ref()) {
        Some(Kind::Dst(get)) if !get.path.is_empty() => get.path.as_str(),
        _ => return unknown("the discovery of a balanced backend"),
    };
    let (rtt, decay) = match &found.load {
        Some(Load::PeakEwma(load)) => (&load.default_rtt, &load.decay),
        Some(Load::PenaltyPeakEwma(load)) => (&load.default_rtt, &load.decay),
        None => return unknown("the load estimate of a balanced backend"),
    };
    let load =
        PeakEwma { default_rtt: duration(rtt.as_ref()).unwrap_or(LOAD.default_rtt), decay: duration(decay.as_ref()).unwrap_or(LOAD.decay) };
    Ok(BackendKind::Balance { path: path.into(), load })
}
