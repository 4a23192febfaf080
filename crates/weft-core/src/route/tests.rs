use std::collections::HashMap;
use std::time::Duration;

use http::{HeaderName, Method};
use proptest::prelude::*;

use super::*;
use crate::model::{BackendKind, HeaderMatch, PeakEwma, Queue, RouteKind, RpcMatch};

fn request(method: Method, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

fn prefix(path: &str) -> HttpMatch {
    HttpMatch { path: Some(PathMatch::Prefix(path.into())), ..Default::default() }
}

fn exact(path: &str) -> HttpMatch {
    HttpMatch { path: Some(PathMatch::Exact(path.into())), ..Default::default() }
}

fn pattern(path: &str) -> HttpMatch {
    HttpMatch { path: Some(PathMatch::Regex(Regex::new(path).unwrap())), ..Default::default() }
}

fn header(name: &'static str, value: &str) -> HeaderMatch {
    HeaderMatch { name: HeaderName::from_static(name), value: ValueMatch::Exact(value.into()) }
}

/// Routes named in their order, each with one rule.
fn routes(routes: Vec<(&str, Vec<HostMatch>, Vec<HttpMatch>)>) -> OutboundHttp {
    let routes = routes.into_iter().map(|(name, hosts, matches)| {
        let rule = OutboundRule { matches, ..OutboundRule::to(Distribution::Empty) };
        OutboundRoute { meta: Meta::default_named(name), hosts, rules: vec![rule] }
    });
    OutboundHttp::new(Meta::default_named("parent"), RouteKind::Http, routes.collect())
}

fn chosen(http: &OutboundHttp, request: &Request<()>) -> Option<String> {
    outbound(http, request, authority(request)).map(|matched| matched.route.meta.name().to_owned())
}

/// Requirement: Gateway API precedence; the first listed wins a tie.
#[test]
fn the_most_specific_match_wins() {
    let method = |path: &str| HttpMatch { method: Some(Method::POST), ..prefix(path) };
    let one = HttpMatch { headers: vec![header("a", "1")], ..prefix("/api") };
    let two = HttpMatch { headers: vec![header("a", "1"), header("b", "2")], ..prefix("/api") };
    let query = QueryMatch { name: "q".into(), value: ValueMatch::Exact(b"1".to_vec()) };
    let asked = HttpMatch { query: vec![query], ..prefix("/api") };
    let http = routes(vec![
        ("all", vec![], vec![]),
        ("root", vec![], vec![prefix("/")]),
        ("api", vec![], vec![prefix("/api")]),
        ("again", vec![], vec![prefix("/api/")]),
        ("deep", vec![], vec![prefix("/api/v1")]),
        ("exact", vec![], vec![exact("/api/v1/x")]),
        ("post", vec![], vec![method("/api")]),
        ("one", vec![], vec![one]),
        ("two", vec![], vec![two]),
        ("query", vec![], vec![asked]),
        ("pattern", vec![], vec![pattern("/items/[0-9]+")]),
    ]);
    for (method, uri, headers, expected) in [
        (Method::GET, "/", &[][..], "root"),
        (Method::GET, "/other", &[], "root"),
        (Method::GET, "/apix", &[], "root"),
        (Method::GET, "/api", &[], "api"),
        (Method::GET, "/api/", &[], "api"),
        (Method::GET, "/api/v1", &[], "deep"),
        (Method::GET, "/api/v1/x", &[("a", "1")], "exact"),
        (Method::POST, "/api", &[("a", "1"), ("b", "2")], "post"),
        (Method::POST, "/api/v1", &[], "deep"),
        (Method::GET, "/api?q=1", &[("a", "1"), ("b", "2")], "two"),
        (Method::GET, "/api?q=1", &[("a", "1")], "one"),
        (Method::GET, "/api?q=1", &[], "query"),
        (Method::GET, "/items/7", &[], "pattern"),
        (Method::GET, "/items/7/8", &[], "root"),
        (Method::OPTIONS, "*", &[], "root"),
    ] {
        assert_eq!(chosen(&http, &request(method, uri, headers)).as_deref(), Some(expected), "{uri} {headers:?}");
    }
}

/// Requirement: the host decides before everything else: exact, then the longest wildcard, then routes for every host.
#[test]
fn the_most_specific_host_wins() {
    let suffix = |name: &str| HostMatch::Suffix(name.rsplit('.').map(str::to_owned).collect());
    let http = routes(vec![
        ("any", vec![], vec![exact("/x")]),
        ("wide", vec![suffix("example.com")], vec![exact("/x")]),
        ("narrow", vec![suffix("a.example.com")], vec![]),
        ("name", vec![HostMatch::Exact("b.a.example.com".into())], vec![]),
    ]);
    for (host, expected) in [
        ("other.org", Some("any")),
        ("example.com", Some("any")),
        ("A.Example.com", Some("wide")),
        ("c.a.example.com:8080", Some("narrow")),
        ("B.a.example.com.:80", Some("name")),
        ("[::1]:80", Some("any")),
    ] {
        assert_eq!(chosen(&http, &request(Method::GET, "/x", &[("host", host)])).as_deref(), expected, "{host}");
    }
}

/// Requirement: query values are decoded before they are compared; patterns match whole values; RPCs match by name.
#[test]
fn values_are_compared_whole_and_decoded() {
    let query = |name: &str, value| HttpMatch { query: vec![QueryMatch { name: name.into(), value }], ..Default::default() };
    let http = routes(vec![
        ("plain", vec![], vec![query("a b", ValueMatch::Exact(b"c&d".to_vec()))]),
        ("pattern", vec![], vec![query("n", ValueMatch::Regex(whole("a|ab").unwrap()))]),
        ("rpc", vec![], vec![HttpMatch { rpc: Some(RpcMatch { service: "p.S".into(), method: String::new() }), ..Default::default() }]),
    ]);
    for (uri, expected) in [
        ("/?a+b=c%26d", Some("plain")),
        ("/?x&a%20b=c%26d", Some("plain")),
        ("/?a+b=c", None),
        ("/?n=ab", Some("pattern")),
        ("/?n=abc", None),
        ("/?n=%zz%", None),
        ("/p.S/Get", Some("rpc")),
        ("/p.T/Get", None),
        ("/p.S", None),
    ] {
        assert_eq!(chosen(&http, &request(Method::GET, uri, &[])).as_deref(), expected, "{uri}");
    }
}

fn redirect(redirect: Redirect, matched: &HttpMatch, uri: &str) -> Option<String> {
    let mut request = request(Method::GET, uri, &[("host", "shop:8080")]);
    match apply_request(&[Filter::Redirect(redirect)], Some(matched), &mut request, || 0) {
        Err(Answer::Redirect { location, .. }) => Some(location.to_str().unwrap().to_owned()),
        _ => None,
    }
}

/// Requirement: a redirect keeps what it does not replace, replaces prefixes on segment boundaries, and never leads to itself.
#[test]
fn redirects_say_where_to() {
    let none = Redirect { scheme: None, host: None, path: None, port: None, status: 302 };
    let to = |path: &str| Redirect { path: Some(PathModifier::Prefix(path.into())), ..none.clone() };
    let all = prefix("/");
    let https = Redirect { scheme: Some("https".into()), ..none.clone() };
    assert_eq!(redirect(https, &all, "/a?b=c").unwrap(), "https://shop/a?b=c");
    let host = Redirect { host: Some("new.example".into()), port: Some(80), ..none.clone() };
    assert_eq!(redirect(host, &all, "/a").unwrap(), "http://new.example/a");
    let full = Redirect { path: Some(PathModifier::Full("/new".into())), ..none.clone() };
    assert_eq!(redirect(full, &all, "/a?b").unwrap(), "http://shop:8080/new?b");
    for (matched, with, path, expected) in [
        ("/foo", "/xyz", "/foo/bar", "/xyz/bar"),
        ("/foo", "/xyz/", "/foo/bar", "/xyz/bar"),
        ("/foo/", "/xyz", "/foo", "/xyz"),
        ("/foo", "/", "/foo/bar", "/bar"),
        ("/foo", "/", "/foo", "/"),
        ("/foo", "", "/foo/", "/"),
        ("/", "/xyz", "/bar", "/xyz/bar"),
    ] {
        let location = redirect(to(with), &prefix(matched), path).unwrap();
        assert_eq!(location, format!("http://shop:8080{expected}"), "{matched} -> {with}");
    }
    assert_eq!(redirect(none, &all, "/a"), None);
}

/// Requirement: header filters remove, then set, then add; an injected fault hits its share and no more.
#[test]
fn filters_change_headers_and_inject_faults() {
    let name = HeaderName::from_static;
    let modifier = HeaderModifier {
        add: vec![(name("x-add"), HeaderValue::from_static("2"))],
        set: vec![(name("x-set"), HeaderValue::from_static("new"))],
        remove: vec![name("x-gone")],
    };
    let mut asked = request(Method::GET, "/", &[("x-add", "1"), ("x-set", "old"), ("x-gone", "1")]);
    apply_request(&[Filter::RequestHeaders(modifier.clone())], None, &mut asked, || 0).unwrap();
    let added: Vec<_> = asked.headers().get_all("x-add").iter().collect();
    assert_eq!(added, ["1", "2"]);
    assert_eq!(asked.headers()["x-set"], "new");
    assert!(!asked.headers().contains_key("x-gone"));
    let mut headers = HeaderMap::new();
    apply_response(&[Filter::ResponseHeaders(modifier)], &mut headers);
    assert_eq!(headers["x-set"], "new");

    let fault = [Filter::FailHttp { status: 503, message: "no".into(), ratio: Ratio { numerator: 1, denominator: 4 } }];
    let failed = |random| apply_request(&fault, None, &mut request(Method::GET, "/", &[]), || random).is_err();
    assert!(failed(0) && failed(u32::MAX / 4) && !failed(u32::MAX / 4 + 2) && !failed(u32::MAX));
    let never = [Filter::FailGrpc { code: 14, message: "no".into(), ratio: Ratio { numerator: 0, denominator: 0 } }];
    assert!(apply_request(&never, None, &mut request(Method::GET, "/", &[]), || 0).is_ok());
}

fn named(name: &str) -> Arc<Backend> {
    let load = PeakEwma { default_rtt: Duration::from_millis(30), decay: Duration::from_secs(10) };
    Arc::new(Backend {
        meta: Meta::default_named(name),
        filters: vec![],
        kind: BackendKind::Balance { path: name.into(), load },
        queue: Queue { capacity: 100, failfast: Duration::from_secs(3) },
    })
}

/// Requirement: a split follows its weights over the whole range of chance; weight 0 gets nothing.
#[test]
fn a_split_follows_its_weights() {
    let split = Distribution::Weighted(vec![(named("a"), 90), (named("b"), 10), (named("zero"), 0)]);
    let mut counts = HashMap::new();
    for random in (0..=u32::MAX).step_by(1 << 20) {
        *counts.entry(backend(&split, |_| true, random).unwrap().meta.name().to_owned()).or_insert(0) += 1;
    }
    assert_eq!(counts.get("zero"), None);
    assert!((counts["a"] - 3686_i32).abs() <= 1 && counts["a"] + counts["b"] == 4096, "{counts:?}");
    assert!(backend(&Distribution::Weighted(vec![(named("zero"), 0)]), |_| true, 0).is_none());
    assert!(backend(&Distribution::Empty, |_| true, 0).is_none());
}

/// Requirement: what cannot take a request is passed over while something else can.
#[test]
fn unavailable_backends_are_passed_over() {
    let only_b = |backend: &Backend| backend.meta.name() == "b";
    let first = Distribution::FirstAvailable(vec![named("a"), named("b")]);
    let split = Distribution::Weighted(vec![(named("a"), 90), (named("b"), 10)]);
    for distribution in [first, split] {
        assert_eq!(backend(&distribution, only_b, 0).unwrap().meta.name(), "b");
        assert_eq!(backend(&distribution, |_| false, 0).unwrap().meta.name(), "a");
    }
}

proptest! {
    /// Requirement: a prefix matches exactly the path itself and what follows a slash.
    #[test]
    fn prefixes_end_at_segments(path in "(/[ab]{1,2}){0,3}/?", wanted in "(/[ab]{1,2}){0,3}/?") {
        let path = if path.is_empty() { "/".to_owned() } else { path };
        let bare = wanted.strip_suffix('/').unwrap_or(&wanted);
        let expected = bare.is_empty() || path == bare || path.starts_with(&format!("{bare}/"));
        prop_assert_eq!(path_rank(&PathMatch::Prefix(wanted), &path).is_some(), expected);
    }
}
