//! Tables: what each message becomes, and what makes it invalid.

use std::net::{IpAddr, SocketAddr};

use http::Method;
use weft_core::identity::Identity;
use weft_core::model::{
    Authentication, BackendKind, Distribution, Endpoints, Filter, HeaderModifier, HostMatch, InboundProtocol, OpaqueVerdict, OutboundHttp,
    OutboundProtocol, PathMatch, PathModifier, ProtocolHint, Ratio, Redirect, RouteKind, Timeouts, ValueMatch,
};

use super::*;
use crate::r#gen::destination::{self, WeightedAddr, protocol_hint, tls_identity};
use crate::r#gen::http_route::{self as matches, header_match, host_match, path_match, path_modifier, query_param_match};
use crate::r#gen::http_types::{self, http_method, scheme};
use crate::r#gen::inbound::{self as wire_in, authn};
use crate::r#gen::meta::{self, metadata};
use crate::r#gen::outbound::{self as wire_out, http_route, proxy_protocol};
use crate::r#gen::{grpc_route, net, opaque_route, tls_route};

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn named(name: &str) -> Option<meta::Metadata> {
    Some(meta::Metadata { kind: Some(metadata::Kind::Default(name.into())) })
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn balancer(path: &str) -> wire_out::Backend {
    use wire_out::backend::{BalanceP2c, EndpointDiscovery, Kind, balance_p2c, endpoint_discovery};
    let dst = endpoint_discovery::DestinationGet { path: path.into() };
    let load = balance_p2c::PeakEwma { default_rtt: seconds(1), decay: None };
    wire_out::Backend {
        metadata: named("backend"),
        kind: Some(Kind::Balancer(BalanceP2c {
            discovery: Some(EndpointDiscovery { kind: Some(endpoint_discovery::Kind::Dst(dst)) }),
            load: Some(balance_p2c::Load::PeakEwma(load)),
        })),
        queue: Some(wire_out::Queue { capacity: 7, failfast_timeout: seconds(2) }),
    }
}

fn http_backends(weights: &[(&str, u32)]) -> Option<http_route::Distribution> {
    let backends = weights.iter().map(|(path, weight)| http_route::WeightedRouteBackend {
        backend: Some(http_route::RouteBackend { backend: Some(balancer(path)), ..Default::default() }),
        weight: *weight,
    });
    let random = http_route::distribution::RandomAvailable { backends: backends.collect() };
    Some(http_route::Distribution { kind: Some(http_route::distribution::Kind::RandomAvailable(random)) })
}

fn rule() -> http_route::Rule {
    http_route::Rule { backends: http_backends(&[("web:80", 1)]), ..Default::default() }
}

fn http_policy(rule: http_route::Rule) -> wire_out::OutboundPolicy {
    let route = wire_out::HttpRoute { metadata: named("route"), rules: vec![rule], ..Default::default() };
    protocol(proxy_protocol::Kind::Http1(proxy_protocol::Http1 { routes: vec![route], failure_accrual: None }))
}

fn protocol(kind: proxy_protocol::Kind) -> wire_out::OutboundPolicy {
    wire_out::OutboundPolicy { metadata: named("parent"), protocol: Some(wire_out::ProxyProtocol { kind: Some(kind) }) }
}

fn http_of(policy: OutboundProtocol) -> std::sync::Arc<OutboundHttp> {
    match policy {
        OutboundProtocol::Http1(http) | OutboundProtocol::Http2(http) | OutboundProtocol::Grpc(http) => http,
        other => panic!("not HTTP: {other:?}"),
    }
}

/// The one rule of a policy made with `http_policy`, or why it is invalid.
fn converted(rule: http_route::Rule) -> Result<weft_core::model::OutboundRule, Invalid> {
    Ok(http_of(outbound(&http_policy(rule))?.protocol).routes[0].rules[0].clone())
}

/// Requirement: addresses survive the wire in both families.
#[test]
fn addresses_are_read_as_they_were_written() {
    for text in ["10.1.2.3:80", "[fd00:1:2:3:4:5:6:7]:65535"] {
        assert_eq!(shared::socket_addr(&tcp_address(addr(text))).unwrap(), addr(text));
    }
    assert!(shared::socket_addr(&net::TcpAddress { port: 65_536, ..tcp_address(addr("10.1.2.3:80")) }).is_err());
    assert!(shared::socket_addr(&net::TcpAddress { ip: None, port: 1 }).is_err());
}

/// Requirement: every kind of match is read; a pattern matches the whole text; what is malformed or unknown is invalid.
#[test]
fn matches_are_read() {
    let path = |kind| matches::HttpRouteMatch { path: Some(matches::PathMatch { kind }), ..Default::default() };
    let header = |name: &str, value| matches::HttpRouteMatch {
        headers: vec![matches::HeaderMatch { name: name.into(), value }],
        ..Default::default()
    };
    let query =
        |value| matches::HttpRouteMatch { query_params: vec![matches::QueryParamMatch { name: "q".into(), value }], ..Default::default() };
    let method = |kind| matches::HttpRouteMatch { method: Some(http_types::HttpMethod { r#type: kind }), ..Default::default() };
    let one = |found: matches::HttpRouteMatch| {
        converted(http_route::Rule { matches: vec![found], ..rule() }).map(|mut rule| rule.matches.remove(0))
    };

    let read = one(path(Some(path_match::Kind::Exact("/a".into())))).unwrap();
    assert!(matches!(read.path, Some(PathMatch::Exact(path)) if path == "/a"));
    let read = one(path(Some(path_match::Kind::Prefix("/a".into())))).unwrap();
    assert!(matches!(read.path, Some(PathMatch::Prefix(path)) if path == "/a"));
    let read = one(path(Some(path_match::Kind::Regex("/a|/b".into())))).unwrap();
    let Some(PathMatch::Regex(pattern)) = read.path else { panic!("no pattern") };
    assert!(pattern.is_match("/b") && !pattern.is_match("/bc") && !pattern.is_match("/x/b"));

    let read = one(header("x-user", Some(header_match::Value::Exact(b"\xff".to_vec())))).unwrap();
    assert!(matches!(&read.headers[0].value, ValueMatch::Exact(bytes) if bytes == b"\xff"));
    let read = one(header("X-User", Some(header_match::Value::Regex("a+".into())))).unwrap();
    assert_eq!(read.headers[0].name, "x-user");
    assert!(matches!(&read.headers[0].value, ValueMatch::Regex(pattern) if pattern.is_match("aa") && !pattern.is_match("aab")));
    let read = one(query(Some(query_param_match::Value::Exact("v".into())))).unwrap();
    assert!(matches!(&read.query[0].value, ValueMatch::Exact(bytes) if bytes == b"v"));
    assert!(one(query(Some(query_param_match::Value::Regex("v".into())))).is_ok());

    for (kind, expected) in [
        (http_method::Type::Registered(http_method::Registered::Get.into()), Method::GET),
        (http_method::Type::Registered(http_method::Registered::Trace.into()), Method::TRACE),
        (http_method::Type::Unregistered("BREW".into()), Method::from_bytes(b"BREW").unwrap()),
    ] {
        assert_eq!(one(method(Some(kind))).unwrap().method, Some(expected));
    }

    for (found, why) in [
        (path(None), "path match"),
        (path(Some(path_match::Kind::Prefix("a".into()))), "slash"),
        (path(Some(path_match::Kind::Regex("a)|(b".into()))), "pattern"),
        (header("x y", Some(header_match::Value::Exact(vec![]))), "header name"),
        (header("x", None), "header match"),
        (query(None), "query match"),
        (method(Some(http_method::Type::Registered(99))), "method"),
        (method(Some(http_method::Type::Unregistered("A B".into()))), "method"),
        (method(None), "method"),
    ] {
        let error = one(found).unwrap_err();
        assert!(error.0.contains(why), "{error} does not name {why}");
    }
}

/// Requirement: every kind of filter is read; one of an unknown kind makes the policy invalid instead of being left out.
#[test]
fn filters_are_read() {
    use http_route::filter::Kind;
    let headers = |value: &[u8]| {
        let header = http_types::headers::Header { name: "X-A".into(), value: value.to_vec() };
        Some(http_types::Headers { headers: vec![header] })
    };
    let one =
        |kind| converted(http_route::Rule { filters: vec![http_route::Filter { kind }], ..rule() }).map(|mut rule| rule.filters.remove(0));
    let pair = || ("x-a".parse().unwrap(), "1".parse().unwrap());

    let modifier = matches::RequestHeaderModifier { add: headers(b"1"), set: None, remove: vec!["X-B".into()] };
    let expected = HeaderModifier { add: vec![pair()], set: vec![], remove: vec!["x-b".parse().unwrap()] };
    assert!(matches!(one(Some(Kind::RequestHeaderModifier(modifier))), Ok(Filter::RequestHeaders(m)) if m == expected));
    let modifier = matches::ResponseHeaderModifier { add: None, set: headers(b"1"), remove: vec![] };
    let expected = HeaderModifier { add: vec![], set: vec![pair()], remove: vec![] };
    assert!(matches!(one(Some(Kind::ResponseHeaderModifier(modifier))), Ok(Filter::ResponseHeaders(m)) if m == expected));

    let https = http_types::Scheme { r#type: Some(scheme::Type::Registered(scheme::Registered::Https.into())) };
    let full = matches::PathModifier { replace: Some(path_modifier::Replace::Full("/x".into())) };
    let redirect = matches::RequestRedirect { scheme: Some(https), host: "h".into(), path: Some(full), port: 81, status: 0 };
    let expected = Redirect {
        scheme: Some("https".into()),
        host: Some("h".into()),
        path: Some(PathModifier::Full("/x".into())),
        port: Some(81),
        status: 301,
    };
    assert!(matches!(one(Some(Kind::Redirect(redirect.clone()))), Ok(Filter::Redirect(r)) if r == expected));
    let empty = matches::RequestRedirect { status: 302, ..Default::default() };
    let expected = Redirect { scheme: None, host: None, path: None, port: None, status: 302 };
    assert!(matches!(one(Some(Kind::Redirect(empty))), Ok(Filter::Redirect(r)) if r == expected));

    let fail = |status, ratio| matches::HttpFailureInjector { status, message: "no".into(), ratio };
    let half = matches::Ratio { numerator: 1, denominator: 2 };
    assert!(matches!(one(Some(Kind::FailureInjector(fail(503, None)))),
        Ok(Filter::FailHttp { status: 503, ratio: Ratio::ALWAYS, message }) if &*message == "no"));
    assert!(matches!(
        one(Some(Kind::FailureInjector(fail(503, Some(half))))),
        Ok(Filter::FailHttp { ratio: Ratio { numerator: 1, denominator: 2 }, .. })
    ));

    let over = matches::Ratio { numerator: 3, denominator: 2 };
    for (kind, why) in [
        (None, "filter"),
        (Some(Kind::FailureInjector(fail(99, None))), "status 99"),
        (Some(Kind::FailureInjector(fail(500, Some(over)))), "ratio 3/2"),
        (Some(Kind::FailureInjector(fail(500, Some(matches::Ratio::default())))), "ratio 0/0"),
        (Some(Kind::Redirect(matches::RequestRedirect { status: 200, ..redirect.clone() })), "status 200"),
        (Some(Kind::Redirect(matches::RequestRedirect { port: 65_536, ..redirect })), "port 65536"),
        (
            Some(Kind::RequestHeaderModifier(matches::RequestHeaderModifier { add: headers(b"a\nb"), ..Default::default() })),
            "value of header",
        ),
    ] {
        let error = one(kind).unwrap_err();
        assert!(error.0.contains(why), "{error} does not name {why}");
    }
}

/// Requirement: gRPC routes have their own matches, filters and metric names.
#[test]
fn grpc_routes_are_read() {
    use wire_out::grpc_route as wire;
    let rpc = grpc_route::GrpcRpcMatch { service: "a.B".into(), method: "C".into() };
    let fail = grpc_route::GrpcFailureInjector { code: 14, message: "no".into(), ratio: None };
    let rule = wire::Rule {
        matches: vec![grpc_route::GrpcRouteMatch { rpc: Some(rpc), headers: vec![] }],
        filters: vec![wire::Filter { kind: Some(wire::filter::Kind::FailureInjector(fail)) }],
        backends: Some(wire::Distribution { kind: Some(wire::distribution::Kind::Empty(Default::default())) }),
        request_timeout: seconds(9),
        ..Default::default()
    };
    let route = wire_out::GrpcRoute { metadata: named("route"), rules: vec![rule], ..Default::default() };
    let grpc = proxy_protocol::Grpc { routes: vec![route], failure_accrual: None };
    let http = http_of(outbound(&protocol(proxy_protocol::Kind::Grpc(grpc))).unwrap().protocol);
    assert_eq!(http.kind, RouteKind::Grpc);
    let rule = &http.routes[0].rules[0];
    let rpc = rule.matches[0].rpc.as_ref().unwrap();
    assert_eq!((rpc.service.as_str(), rpc.method.as_str()), ("a.B", "C"));
    assert!(matches!(&rule.filters[0], Filter::FailGrpc { code: 14, .. }));
    assert!(matches!(rule.backends, Distribution::Empty));
    assert_eq!(rule.timeouts.request, Some(Duration::from_secs(9)));
}

/// Requirement: retries keep their conditions, limit, time and pauses; what a message leaves out is Linkerd's default, and without retries
/// there are none.
#[test]
fn retries_are_read() {
    use http_route::retry::{Conditions, conditions::StatusRange};
    let backoff =
        wire_out::ExponentialBackoff { min_backoff: seconds(1), max_backoff: seconds(2), jitter_ratio: 0.5, ..Default::default() };
    let retry = http_route::Retry {
        max_retries: 3,
        max_request_bytes: 1000,
        conditions: Some(Conditions { status_ranges: vec![StatusRange { start: 500, end: 599 }, StatusRange { start: 429, end: 429 }] }),
        timeout: seconds(4),
        backoff: Some(backoff),
    };
    let read = converted(http_route::Rule { retry: Some(retry), allow_l5d_request_headers: true, ..rule() }).unwrap();
    assert!(read.overridable);
    let policy = read.retry.unwrap();
    assert_eq!((policy.limit, policy.max_body, policy.timeout), (3, 1000, Some(Duration::from_secs(4))));
    assert_eq!([499, 500, 599, 429, 428].map(|status| policy.statuses.contains(status)), [false, true, true, true, false]);
    assert_eq!((policy.backoff.min, policy.backoff.max, policy.backoff.jitter), (Duration::from_secs(1), Duration::from_secs(2), 0.5));

    let bare = converted(http_route::Rule { retry: Some(http_route::Retry::default()), ..rule() }).unwrap();
    let policy = bare.retry.unwrap();
    assert!(policy.statuses.is_empty() && policy.grpc.is_empty());
    assert_eq!((policy.backoff.min, policy.backoff.max), (Duration::from_millis(25), Duration::from_millis(250)));
    assert!(converted(rule()).unwrap().retry.is_none() && !converted(rule()).unwrap().overridable);

    let on = wire_out::grpc_route::retry::Conditions { deadine_exceeded: true, unavailable: true, ..Default::default() };
    let retry = wire_out::grpc_route::Retry { max_retries: 1, conditions: Some(on), ..Default::default() };
    let backends =
        Some(wire_out::grpc_route::Distribution { kind: Some(wire_out::grpc_route::distribution::Kind::Empty(Default::default())) });
    let route = wire_out::GrpcRoute {
        metadata: named("r"),
        rules: vec![wire_out::grpc_route::Rule { retry: Some(retry), backends, ..Default::default() }],
        ..Default::default()
    };
    let policy = protocol(proxy_protocol::Kind::Grpc(proxy_protocol::Grpc { routes: vec![route], failure_accrual: None }));
    let OutboundProtocol::Grpc(grpc) = outbound(&policy).unwrap().protocol else { panic!("not gRPC") };
    let retry = grpc.routes[0].rules[0].retry.unwrap();
    assert_eq!((0..=16).filter(|code| retry.grpc.contains(*code)).collect::<Vec<_>>(), [4, 14]);
}

/// Requirement: backends keep weight, path, load and queue; those without weight are left out; timeouts of nothing are none.
#[test]
fn backends_are_read() {
    let timeouts = matches::Timeouts { request: seconds(1), response: seconds(0), idle: None };
    let rule = converted(http_route::Rule {
        backends: http_backends(&[("web:80", 9), ("canary:80", 1), ("old:80", 0)]),
        timeouts: Some(timeouts),
        ..rule()
    })
    .unwrap();
    let Distribution::Weighted(backends) = &rule.backends else { panic!("{:?}", rule.backends) };
    let summary: Vec<_> = backends
        .iter()
        .map(|(backend, weight)| match &backend.kind {
            BackendKind::Balance { path, load } => {
                assert_eq!((load.default_rtt, load.decay), (Duration::from_secs(1), Duration::from_secs(10)));
                assert_eq!((backend.queue.capacity, backend.queue.failfast), (7, Duration::from_secs(2)));
                (path.to_string(), *weight)
            }
            BackendKind::Forward(_) | BackendKind::Nowhere => panic!("not balanced"),
        })
        .collect();
    assert_eq!(summary, [("web:80".into(), 9), ("canary:80".into(), 1)]);
    assert_eq!(rule.timeouts, Timeouts { request: Some(Duration::from_secs(1)), response: None, idle: None });

    for (backends, why) in
        [(None, "distribution"), (http_backends(&[("", 1)]), "discovery"), (http_backends(&[("a:1", u32::MAX), ("b:1", 1)]), "sum")]
    {
        let error = converted(http_route::Rule { backends, ..self::rule() }).unwrap_err();
        assert!(error.0.contains(why), "{error} does not name {why}");
    }
}

/// Requirement: a backend that does not exist keeps its share and answers it; without a filter that always does, the policy is not
/// understood. The bug that this is for: one such backend made every request to its Service fail.
#[test]
fn a_backend_that_does_not_exist_is_read() {
    use http_route::{RouteBackend, WeightedRouteBackend, distribution::RandomAvailable, filter::Kind};
    let split = |ratio| {
        let fault = matches::HttpFailureInjector { status: 500, message: "Service not found gone".into(), ratio };
        let filters = vec![http_route::Filter { kind: Some(Kind::FailureInjector(fault)) }];
        let nowhere = wire_out::Backend { metadata: named("invalid"), kind: None, queue: None };
        let gone = RouteBackend { backend: Some(nowhere), filters, ..Default::default() };
        let good = RouteBackend { backend: Some(balancer("web:80")), ..Default::default() };
        let backends = [(good, 9), (gone, 1)].map(|(backend, weight)| WeightedRouteBackend { backend: Some(backend), weight });
        let random = http_route::distribution::Kind::RandomAvailable(RandomAvailable { backends: backends.into() });
        converted(http_route::Rule { backends: Some(http_route::Distribution { kind: Some(random) }), ..rule() })
    };
    let Distribution::Weighted(backends) = split(None).unwrap().backends else { panic!("not a split") };
    assert!(matches!(backends[0].0.kind, BackendKind::Balance { .. }));
    assert!(matches!((&backends[1].0.kind, backends[1].1, backends[1].0.filters.len()), (BackendKind::Nowhere, 1, 1)));
    assert!(split(Some(matches::Ratio { numerator: 1, denominator: 2 })).is_err());
}

/// Requirement: hosts and SNIs match without regard to case; opaque and TLS routes have exactly one rule; their filters decide.
#[test]
fn opaque_and_tls_routes_are_read() {
    use wire_out::opaque_route::{Distribution as Backends, Filter as Refuse, Rule, distribution, filter};
    let policy = |filters: Vec<filter::Kind>, rules: usize| {
        let rule = Rule {
            backends: Some(Backends { kind: Some(distribution::Kind::Empty(Default::default())) }),
            filters: filters.into_iter().map(|kind| Refuse { kind: Some(kind) }).collect(),
        };
        let route = wire_out::OpaqueRoute { metadata: named("route"), rules: vec![rule; rules] };
        outbound(&protocol(proxy_protocol::Kind::Opaque(proxy_protocol::Opaque { routes: vec![route] })))
    };
    for (filters, expected) in [
        (vec![], OpaqueVerdict::Forward),
        (vec![filter::Kind::Forbidden(opaque_route::Forbidden {})], OpaqueVerdict::Forbidden),
        (vec![filter::Kind::Invalid(opaque_route::Invalid { message: "m".into() })], OpaqueVerdict::Invalid("m".into())),
    ] {
        let OutboundProtocol::Opaque(opaque) = policy(filters, 1).unwrap().protocol else { panic!("not opaque") };
        assert_eq!(opaque.verdict, expected);
    }
    assert!(policy(vec![], 0).is_err());
    assert!(policy(vec![], 2).is_err());

    use wire_out::tls_route as tls;
    let sni = tls_route::SniMatch { r#match: Some(tls_route::sni_match::Match::Exact("API.example.com".into())) };
    let suffix = tls_route::sni_match::Suffix { reverse_labels: vec!["com".into(), "Example".into()] };
    let suffix = tls_route::SniMatch { r#match: Some(tls_route::sni_match::Match::Suffix(suffix)) };
    let backends = Some(tls::Distribution { kind: Some(tls::distribution::Kind::Empty(Default::default())) });
    let rule = tls::Rule { backends, filters: vec![] };
    let route = wire_out::TlsRoute { metadata: named("route"), snis: vec![sni, suffix], rules: vec![rule] };
    let policy = outbound(&protocol(proxy_protocol::Kind::Tls(proxy_protocol::Tls { routes: vec![route] }))).unwrap();
    let OutboundProtocol::Tls(tls) = policy.protocol else { panic!("not TLS") };
    let hosts = [HostMatch::Exact("api.example.com".into()), HostMatch::Suffix(vec!["com".into(), "example".into()])];
    assert_eq!(tls.routes[0].snis, hosts);
    let host = matches::HostMatch { r#match: Some(host_match::Match::Exact("WEB".into())) };
    assert_eq!(shared::host(&host).unwrap(), HostMatch::Exact("web".into()));
    assert!(shared::host(&matches::HostMatch::default()).is_err());
}

/// Requirement: what stands in for an invalid policy answers 500, and says why.
#[test]
fn an_invalid_policy_answers_500() {
    let why = outbound(&wire_out::OutboundPolicy { metadata: named("x"), protocol: None }).unwrap_err();
    let OutboundProtocol::Detect { http1, http2, opaque, .. } = invalid_outbound(&why).protocol else { panic!("not detected") };
    for http in [http1, http2] {
        let Filter::FailHttp { status: 500, message, ratio: Ratio::ALWAYS } = &http.routes[0].rules[0].filters[0] else {
            panic!("{http:?}")
        };
        assert!(message.contains("protocol is missing"), "{message}");
    }
    assert!(matches!(opaque.verdict, OpaqueVerdict::Invalid(_)));
}

/// Requirement: an endpoint's own labels win; its identity, hints and parameters are read; one whose identity is malformed is left
/// out, never spoken to in plaintext.
#[test]
fn endpoints_are_read() {
    let dns = |name: &str| tls_identity::DnsLikeIdentity { name: name.into() };
    let meshed = WeightedAddr {
        addr: Some(tcp_address(addr("10.0.0.1:80"))),
        weight: 5,
        metric_labels: [("pod".into(), "web-0".into()), ("namespace".into(), "own".into())].into(),
        tls_identity: Some(destination::TlsIdentity {
            strategy: Some(tls_identity::Strategy::DnsLikeIdentity(dns("Web.default"))),
            server_name: Some(dns("sni.default")),
        }),
        protocol_hint: Some(destination::ProtocolHint {
            protocol: Some(protocol_hint::Protocol::H2(protocol_hint::H2 {})),
            opaque_transport: Some(protocol_hint::OpaqueTransport { inbound_port: 4143 }),
        }),
        authority_override: Some(destination::AuthorityOverride { authority_override: "web:80".into() }),
        http2: Some(destination::Http2ClientParams {
            keep_alive: Some(destination::http2_client_params::KeepAlive { interval: seconds(10), timeout: seconds(3), while_idle: true }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let at = |address: &str, change: &dyn Fn(&mut WeightedAddr)| {
        let mut copy = WeightedAddr { addr: Some(tcp_address(addr(address))), ..meshed.clone() };
        change(&mut copy);
        copy
    };
    let uri = tls_identity::UriLikeIdentity { uri: "spiffe://root/web".into() };
    let spiffe = tls_identity::Strategy::UriLikeIdentity(uri);
    let set = destination::WeightedAddrSet {
        addrs: vec![
            meshed.clone(),
            at("10.0.0.2:80", &|a| a.tls_identity.as_mut().unwrap().strategy = Some(spiffe.clone())),
            at("10.0.0.3:80", &|a| a.tls_identity.as_mut().unwrap().strategy = Some(tls_identity::Strategy::DnsLikeIdentity(dns("a..b")))),
            at("10.0.0.4:80", &|a| a.tls_identity.as_mut().unwrap().strategy = None),
            at("10.0.0.5:80", &|a| {
                a.tls_identity = Some(destination::TlsIdentity { strategy: Some(spiffe.clone()), server_name: None });
            }),
            WeightedAddr { addr: Some(tcp_address(addr("10.0.0.6:80"))), ..Default::default() },
        ],
        metric_labels: [("namespace".into(), "set".into()), ("service".into(), "web".into())].into(),
    };
    let update = destination::Update { update: Some(destination::update::Update::Add(set)) };
    let known = applied(&Endpoints::default(), &update);
    let addrs: Vec<_> = known.endpoints.keys().map(ToString::to_string).collect();
    assert_eq!(addrs, ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.6:80"]);

    let first = &known.endpoints[&addr("10.0.0.1:80")];
    assert_eq!(first.labels["namespace"], "own");
    assert_eq!(first.labels["service"], "web");
    assert_eq!((first.weight, first.protocol, first.transport_port), (5, ProtocolHint::H2, Some(4143)));
    let identity = first.identity.as_ref().unwrap();
    assert_eq!((identity.identity.as_str(), &*identity.server_name), ("web.default", "sni.default"));
    assert_eq!(first.authority.as_deref(), Some("web:80"));
    assert_eq!(first.http2.keep_alive_interval, Some(Duration::from_secs(10)));
    assert_eq!(known.endpoints[&addr("10.0.0.2:80")].identity.as_ref().unwrap().identity, Identity::Uri("spiffe://root/web".into()));
    assert_eq!(known.endpoints[&addr("10.0.0.6:80")].identity, None);
}

/// Requirement: grants are read with networks and clients; one that cannot be read, or has no network, grants nothing, and the
/// others stand.
#[test]
fn authorizations_are_read() {
    use authn::permit_mesh_tls::{Clients, PermitClientIdentities};
    let network = |ip: &str, prefix_len| {
        let ip: IpAddr = ip.parse().unwrap();
        net::IpNetwork { ip: tcp_address(SocketAddr::new(ip, 0)).ip, prefix_len }
    };
    let everywhere = || vec![wire_in::Network { net: Some(network("0.0.0.0", 0)), except: vec![network("10.0.0.0", 8)] }];
    let grant = |networks, permit| wire_in::Authz {
        networks,
        authentication: Some(wire_in::Authn { permit }),
        metadata: named("grant"),
        ..Default::default()
    };
    let tls = |clients| Some(authn::Permit::MeshTls(authn::PermitMeshTls { clients }));
    let clients = |name: &str| {
        Some(Clients::Identities(PermitClientIdentities {
            identities: vec![wire_in::Identity { name: name.into() }],
            suffixes: vec![wire_in::IdentitySuffix { parts: vec!["cluster".into(), "local".into()] }],
        }))
    };
    let anybody = || Some(authn::Permit::Unauthenticated(authn::PermitUnauthenticated {}));
    let bad_prefix = vec![wire_in::Network { net: Some(network("10.0.0.0", 33)), except: vec![] }];
    let kind = wire_in::proxy_protocol::Kind::Grpc(Default::default());
    let server = wire_in::Server {
        protocol: Some(wire_in::ProxyProtocol { kind: Some(kind) }),
        authorizations: vec![
            grant(everywhere(), anybody()),
            grant(vec![], anybody()),
            grant(bad_prefix, anybody()),
            grant(everywhere(), None),
            grant(everywhere(), tls(None)),
            grant(everywhere(), tls(clients("a..b"))),
            grant(everywhere(), tls(clients("web.default"))),
            grant(everywhere(), tls(Some(Clients::Unauthenticated(authn::PermitUnauthenticated {})))),
        ],
        labels: [("kind", "default"), ("name", "all-unauthenticated")].map(|(k, v)| (k.into(), v.into())).into(),
        ..Default::default()
    };
    let policy = inbound(&server).unwrap();
    assert_eq!((policy.server.kind(), policy.server.name()), ("default", "all-unauthenticated"));
    let InboundProtocol::Grpc(http) = &policy.protocol else { panic!("{:?}", policy.protocol) };
    assert_eq!(http.routes.len(), 1, "a port without routes takes every request");

    let [any, identified, tls_any] = policy.authorizations.as_slice() else { panic!("{:?}", policy.authorizations) };
    assert_eq!(any.authentication, Authentication::Unauthenticated);
    assert!(any.networks[0].contains("192.168.0.1".parse().unwrap()) && !any.networks[0].contains("10.1.1.1".parse().unwrap()));
    let Authentication::TlsAuthenticated { identities, suffixes } = &identified.authentication else { panic!("{identified:?}") };
    assert_eq!(identities, &[Identity::Dns("web.default".into())]);
    assert_eq!(suffixes[0].0, ["cluster", "local"]);
    assert_eq!(tls_any.authentication, Authentication::TlsUnauthenticated);
    assert!(inbound(&wire_in::Server::default()).is_err());
    assert!(invalid_inbound().authorizations.is_empty());
}
