//! Where a request goes and what happens to it on the way.
//!
//! Decides which rule matches (Gateway API precedence), what its filters do, and which backend takes the request. Randomness is an
//! argument. It never picks an endpoint (`balance` does) and never answers: what is to be answered is a value ([`Answer`]).

use std::sync::Arc;

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Request, Uri};
use regex::Regex;

use crate::model::{
    Backend, Distribution, Filter, HeaderModifier, HostMatch, HttpMatch, InboundHttp, InboundRoute, InboundRule, Meta, OutboundHttp,
    OutboundRoute, OutboundRule, PathMatch, PathModifier, QueryMatch, Ratio, Redirect, ValueMatch,
};
use crate::policy::Permit;

/// The rule that a request came to, and by which of its matches (none: the rule takes everything).
#[derive(Debug)]
pub struct Matched<'a, Route, Rule> {
    pub route: &'a Route,
    pub rule: &'a Rule,
    pub matched: Option<&'a HttpMatch>,
}

/// What an inbound request was permitted for, and what is still to be done to it.
#[derive(Debug)]
pub struct Routed<'a> {
    pub server: &'a Meta,
    pub authorization: &'a Meta,
    /// None on a port without routes.
    pub route: Option<&'a Meta>,
    pub filters: &'a [Filter],
    pub matched: Option<&'a HttpMatch>,
}

/// What a filter answers in place of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Redirect {
        status: u16,
        location: HeaderValue,
    },
    /// An HTTP client sees `status`, a gRPC client the code `grpc`.
    Fail {
        status: u16,
        grpc: u32,
        message: Arc<str>,
    },
}

/// The best rule for an outbound request, or none. `authority` is that of the request (`host` or `host:port`).
pub fn outbound<'a>(http: &'a OutboundHttp, request: &Request<()>, authority: &str) -> Option<Matched<'a, OutboundRoute, OutboundRule>> {
    if let Some((_, route)) = http.listed.iter().find(|(condition, _)| condition.holds(request)) {
        return route.rules.first().map(|rule| Matched { route, rule, matched: None });
    }
    let host = host_of(authority);
    best(
        request,
        http.routes
            .iter()
            .filter_map(|route| Some((host_rank(&route.hosts, host)?, route)))
            .flat_map(|(rank, route)| route.rules.iter().map(move |rule| Candidate { host: rank, route, rule, matches: &rule.matches })),
    )
}

/// The best rule for an inbound request, or none. Only `policy` asks: the rest goes by [`Permit`].
pub(crate) fn inbound_match<'a>(http: &'a InboundHttp, request: &Request<()>) -> Option<Matched<'a, InboundRoute, InboundRule>> {
    let host = host_of(authority(request));
    best(
        request,
        http.routes
            .iter()
            .filter_map(|route| Some((host_rank(&route.hosts, host)?, route)))
            .flat_map(|(rank, route)| route.rules.iter().map(move |rule| Candidate { host: rank, route, rule, matches: &rule.matches })),
    )
}

/// Turns a permission into the way onwards.
pub fn inbound(permit: Permit<'_>) -> Routed<'_> {
    Routed {
        server: permit.server,
        authorization: permit.authorization,
        route: permit.route(),
        filters: permit.filters(),
        matched: permit.matched(),
    }
}

/// The authority that the client asked for: of the target, else the Host header; empty when there is none.
pub fn authority(request: &Request<()>) -> &str {
    match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default(),
    }
}

/// Applies the filters of one rule or backend to a request, in their order, up to the first that answers itself.
///
/// `matched` is the match that led here (for redirects that replace its prefix); `random` is asked once for each injected fault.
pub fn apply_request(
    filters: &[Filter],
    matched: Option<&HttpMatch>,
    request: &mut Request<()>,
    mut random: impl FnMut() -> u32,
) -> Result<(), Answer> {
    for filter in filters {
        match filter {
            Filter::RequestHeaders(modifier) => modify(request.headers_mut(), modifier),
            Filter::ResponseHeaders(_) => {}
            Filter::Redirect(redirect) => {
                if let Some(location) = location(redirect, matched, request) {
                    return Err(Answer::Redirect { status: redirect.status, location });
                }
            }
            Filter::FailHttp { status, message, ratio } => {
                if hits(*ratio, random()) {
                    return Err(Answer::Fail { status: *status, grpc: FAILED_PRECONDITION, message: message.clone() });
                }
            }
            Filter::FailGrpc { code, message, ratio } => {
                if hits(*ratio, random()) {
                    return Err(Answer::Fail { status: 500, grpc: *code, message: message.clone() });
                }
            }
        }
    }
    Ok(())
}

/// Applies the filters of one rule or backend to the head of a response.
pub fn apply_response(filters: &[Filter], headers: &mut HeaderMap) {
    for filter in filters {
        if let Filter::ResponseHeaders(modifier) = filter {
            modify(headers, modifier);
        }
    }
}

/// The backend that takes the request; none when there is none, or none with weight.
///
/// `available` says whether a backend could take it now. Unavailable ones are passed over while another one is available; when none
/// is, the choice is made as if all were, so that the failure is that of the backend that was meant.
pub fn backend(distribution: &Distribution, available: impl Fn(&Backend) -> bool, random: u32) -> Option<&Arc<Backend>> {
    match distribution {
        Distribution::Empty => None,
        // The ordinary case is not asked whether it is available: it is taken either way.
        Distribution::FirstAvailable(backends) if backends.len() == 1 => backends.first(),
        Distribution::FirstAvailable(backends) => backends.iter().find(|backend| available(backend)).or(backends.first()),
        Distribution::Weighted(backends) if backends.len() == 1 => weighted(backends, |_| true, random),
        Distribution::Weighted(backends) => {
            weighted(backends, |backend| available(backend), random).or_else(|| weighted(backends, |_| true, random))
        }
    }
}

/// Compiles a pattern so that it matches whole values only, whatever alternatives it has.
pub fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}

fn weighted(backends: &[(Arc<Backend>, u32)], take: impl Fn(&Backend) -> bool, random: u32) -> Option<&Arc<Backend>> {
    let taken = || backends.iter().filter(|(backend, _)| take(backend));
    let total: u64 = taken().map(|(_, weight)| u64::from(*weight)).sum();
    let mut point = (u64::from(random) * total) >> 32;
    taken().find_map(|(backend, weight)| match point.checked_sub(u64::from(*weight)) {
        None => Some(backend),
        Some(rest) => {
            point = rest;
            None
        }
    })
}

struct Candidate<'a, Route, Rule> {
    host: HostRank,
    route: &'a Route,
    rule: &'a Rule,
    matches: &'a [HttpMatch],
}

/// How well a host matched: an exact name, more labels of a wildcard, no demand at all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum HostRank {
    Any,
    Suffix(usize),
    Exact,
}

/// Gateway API precedence, greatest first: exact path; most characters of the path, a prefix before a pattern; RPC service and
/// method; method; number of headers; number of query parameters.
///
/// A pattern matches a whole path and so counts all its characters: a catch-all prefix `/` must not hide it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct MatchRank {
    path: (bool, usize, bool),
    rpc: (usize, usize),
    method: bool,
    headers: usize,
    query: usize,
}

/// The first of those that rank highest.
fn best<'a, Route, Rule>(
    request: &Request<()>,
    candidates: impl Iterator<Item = Candidate<'a, Route, Rule>>,
) -> Option<Matched<'a, Route, Rule>> {
    let mut best: Option<((HostRank, MatchRank), Matched<'a, Route, Rule>)> = None;
    for Candidate { host, route, rule, matches } in candidates {
        let mut offer = |rank: MatchRank, matched| {
            if best.as_ref().is_none_or(|(standing, _)| (host, rank) > *standing) {
                best = Some(((host, rank), Matched { route, rule, matched }));
            }
        };
        if matches.is_empty() {
            offer(MatchRank::default(), None);
        }
        for one in matches {
            if let Some(rank) = match_rank(one, request) {
                offer(rank, Some(one));
            }
        }
    }
    best.map(|(_, matched)| matched)
}

fn host_rank(hosts: &[HostMatch], host: &str) -> Option<HostRank> {
    if hosts.is_empty() {
        return Some(HostRank::Any);
    }
    let rank = |wanted: &HostMatch| match wanted {
        HostMatch::Exact(name) => host.eq_ignore_ascii_case(name).then_some(HostRank::Exact),
        HostMatch::Suffix(reversed) => {
            let mut labels = host.rsplit('.');
            let all = reversed.iter().all(|part| labels.next().is_some_and(|label| label.eq_ignore_ascii_case(part)));
            (all && labels.next().is_some()).then_some(HostRank::Suffix(reversed.len()))
        }
    };
    hosts.iter().filter_map(rank).max()
}

/// `host` of `host:port`, without the dot that ends a fully qualified name; an IPv6 address keeps its brackets.
fn host_of(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    host.strip_suffix('.').unwrap_or(host)
}

fn match_rank(wanted: &HttpMatch, request: &Request<()>) -> Option<MatchRank> {
    let path = request.uri().path();
    let mut rank =
        MatchRank { method: wanted.method.is_some(), headers: wanted.headers.len(), query: wanted.query.len(), ..Default::default() };
    if let Some(wanted) = &wanted.path {
        rank.path = path_rank(wanted, path)?;
    }
    if let Some(rpc) = &wanted.rpc {
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        let fits = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        if !fits(&rpc.service, service) || !fits(&rpc.method, method) {
            return None;
        }
        rank.rpc = (rpc.service.len(), rpc.method.len());
    }
    if wanted.method.as_ref().is_some_and(|method| method != request.method()) {
        return None;
    }
    let has_header = |name, value| request.headers().get_all(name).iter().any(|found| value_fits(value, found.as_bytes()));
    if !wanted.headers.iter().all(|header| has_header(&header.name, &header.value)) {
        return None;
    }
    wanted.query.iter().all(|wanted| query_fits(wanted, request.uri().query().unwrap_or_default())).then_some(rank)
}

fn path_rank(wanted: &PathMatch, path: &str) -> Option<(bool, usize, bool)> {
    match wanted {
        PathMatch::Exact(exact) => (path == exact).then_some((true, exact.len(), false)),
        PathMatch::Prefix(prefix) => {
            let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
            let rest = path.strip_prefix(prefix)?;
            (prefix.is_empty() || rest.is_empty() || rest.starts_with('/')).then_some((false, prefix.len(), true))
        }
        PathMatch::Regex(pattern) => is_whole(pattern, path).then_some((false, path.len(), false)),
    }
}

fn value_fits(wanted: &ValueMatch, found: &[u8]) -> bool {
    match wanted {
        ValueMatch::Exact(value) => value == found,
        ValueMatch::Regex(pattern) => std::str::from_utf8(found).is_ok_and(|found| is_whole(pattern, found)),
    }
}

pub(crate) fn is_whole(pattern: &Regex, text: &str) -> bool {
    pattern.find(text).is_some_and(|found| found.range() == (0..text.len()))
}

fn query_fits(wanted: &QueryMatch, query: &str) -> bool {
    query.split('&').filter(|pair| !pair.is_empty()).any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        decode(name) == wanted.name.as_bytes() && value_fits(&wanted.value, &decode(value))
    })
}

/// `application/x-www-form-urlencoded`; a `%` without two digits stands for itself.
fn decode(text: &str) -> Vec<u8> {
    let digit = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16)).map(|digit| digit as u8);
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                at += 2;
            }
            (b'+', ..) => decoded.push(b' '),
            (byte, ..) => decoded.push(byte),
        }
        at += 1;
    }
    decoded
}

fn modify(headers: &mut HeaderMap, modifier: &HeaderModifier) {
    for name in &modifier.remove {
        headers.remove(name);
    }
    for (name, value) in &modifier.set {
        headers.insert(name, value.clone());
    }
    for (name, value) in &modifier.add {
        headers.append(name, value.clone());
    }
}

fn hits(ratio: Ratio, random: u32) -> bool {
    (u64::from(random) * u64::from(ratio.denominator)) >> 32 < u64::from(ratio.numerator)
}

/// The `Location` of a redirect; none when it would lead to where the request is already, which would never end.
fn location(redirect: &Redirect, matched: Option<&HttpMatch>, request: &Request<()>) -> Option<HeaderValue> {
    let uri = request.uri();
    let own_scheme = uri.scheme_str().unwrap_or("http");
    let scheme = redirect.scheme.as_deref().unwrap_or(own_scheme);
    let own_authority = authority(request);
    let own_host = host_of(own_authority);
    let host = redirect.host.as_deref().unwrap_or(own_host);
    let own_port = own_authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    // A new scheme brings its own port.
    let port = redirect.port.or(if redirect.scheme.is_none() { own_port } else { None });
    let port = match (scheme, port) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => String::new(),
        (_, Some(port)) => format!(":{port}"),
    };
    let path = match &redirect.path {
        None => uri.path().to_owned(),
        Some(PathModifier::Full(path)) => path.clone(),
        Some(PathModifier::Prefix(with)) => replace_prefix(matched, uri.path(), with),
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("{scheme}://{host}{port}{path}{query}");
    let same = location.parse::<Uri>().is_ok_and(|to| {
        to.path() == uri.path() && to.scheme_str() == Some(own_scheme) && to.authority().is_some_and(|to| to.as_str() == own_authority)
    });
    if same { None } else { HeaderValue::try_from(location).ok() }
}

fn replace_prefix(matched: Option<&HttpMatch>, path: &str, with: &str) -> String {
    let prefix = match matched.and_then(|matched| matched.path.as_ref()) {
        Some(PathMatch::Prefix(prefix)) => prefix.strip_suffix('/').unwrap_or(prefix),
        _ => return with.to_owned(),
    };
    let rest = path.strip_prefix(prefix).unwrap_or(path);
    let with = with.strip_suffix('/').unwrap_or(with);
    match (with, rest) {
        ("", "") => "/".to_owned(),
        (with, rest) => format!("{with}{rest}"),
    }
}

const FAILED_PRECONDITION: u32 = 9;

#[cfg(test)]
mod tests;
