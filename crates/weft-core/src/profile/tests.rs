use super::*;

fn request(method: Method, path: &str) -> Request<()> {
    Request::builder().method(method).uri(path).body(()).unwrap()
}

fn path(pattern: &str) -> Condition {
    Condition::Path(route::whole(pattern).unwrap())
}

/// Requirement: `all`, `any` and `not` mean what they say, empty ones too; a pattern is of the whole path, without the query.
#[test]
fn conditions_hold_as_they_say() {
    let get = || Condition::Method(Method::GET);
    for (condition, method, uri, expected) in [
        (path("/books/[0-9]+"), Method::GET, "/books/7?x=/y", true),
        (path("/books/[0-9]+"), Method::GET, "/books/7/pages", false),
        (path("/books|/pages"), Method::GET, "/pages", true),
        (Condition::All(vec![get(), path("/a")]), Method::GET, "/a", true),
        (Condition::All(vec![get(), path("/a")]), Method::POST, "/a", false),
        (Condition::Any(vec![get(), path("/a")]), Method::POST, "/a", true),
        (Condition::Any(vec![get(), path("/a")]), Method::POST, "/b", false),
        (Condition::Not(Box::new(get())), Method::POST, "/", true),
        (Condition::All(vec![]), Method::GET, "/", true),
        (Condition::Any(vec![]), Method::GET, "/", false),
    ] {
        assert_eq!(condition.holds(&request(method, uri)), expected, "{condition:?} {uri}");
    }
}

/// Requirement: a class decides about its statuses, gRPC's answers by their HTTP status too; what no class is about counts as ever.
#[test]
fn classes_decide_about_what_they_name() {
    let not_found = Classes::of(|status| match status {
        404 => Some(true),
        500 => Some(false),
        _ => None,
    });
    assert_eq!(not_found.classify(404, None), Class::Failure);
    assert_eq!(not_found.classify(500, None), Class::Success);
    assert_eq!(not_found.classify(503, None), Class::Failure);
    assert_eq!(not_found.classify(200, Some(14)), Class::Failure);
    let retried = not_found.retries();
    assert_eq!([404, 500, 503, 200].map(|status| retried.statuses.contains(status)), [true, false, true, false]);
    assert_eq!((0..=16).filter(|code| retried.grpc.contains(*code)).collect::<Vec<_>>(), [2, 4, 7, 13, 14, 15]);
    let all_good = Classes::of(|status| (status == 200).then_some(false));
    assert_eq!(all_good.classify(200, Some(14)), Class::Success);
    assert!(all_good.retries().grpc.is_empty());
}

fn named(name: &str, condition: Condition) -> Route {
    let (classes, timeout) = (Classes::NONE, Some(Duration::from_secs(2)));
    Route { meta: Meta::default_named(name), condition, classes, retryable: name == "again", timeout }
}

fn policy(protocol: OutboundProtocol) -> OutboundPolicy {
    OutboundPolicy { meta: Meta::default_named("web"), protocol }
}

fn opaque(path: &str, verdict: crate::model::OpaqueVerdict) -> Arc<OutboundOpaque> {
    let backends = Distribution::FirstAvailable(vec![balanced(path.into())]);
    Arc::new(OutboundOpaque { parent: Meta::default_named("web"), route: Meta::default_named("opaq"), verdict, backends })
}

fn http() -> Arc<OutboundHttp> {
    Arc::new(OutboundHttp::new(Meta::default_named("web"), RouteKind::Http, vec![]))
}

fn paths(backends: &Distribution) -> Vec<(String, u32)> {
    match backends {
        Distribution::Empty => vec![],
        Distribution::FirstAvailable(each) => each.iter().map(|backend| (backend.meta.name().to_owned(), 1)).collect(),
        Distribution::Weighted(each) => each.iter().map(|(backend, weight)| (backend.meta.name().to_owned(), *weight)).collect(),
    }
}

/// Requirement: a profile with routes takes the place of the policy's: the first whose condition holds, in their order, and what none
/// takes goes on without them; the endpoints stay the policy's.
#[test]
fn the_first_route_that_holds_is_taken() {
    let routes = vec![named("again", path("/a.*")), named("once", path("/ab")), named("post", Condition::Method(Method::POST))];
    let profile = Profile { fully_qualified_name: "web.default.svc".into(), routes, ..Profile::default() };
    assert!(profile.decides() && !Profile::default().decides());
    let told = policy(OutboundProtocol::Detect {
        timeout: Duration::from_secs(7),
        http1: http(),
        http2: http(),
        opaque: opaque("web.default.svc-ipv6:80", crate::model::OpaqueVerdict::Forward),
    });
    let OutboundProtocol::Detect { timeout, http1, opaque, .. } = profile.over(Some(&told), 80).protocol else { panic!("not detected") };
    assert_eq!(timeout, Duration::from_secs(7));
    assert_eq!(paths(&opaque.backends), [("web.default.svc-ipv6:80".to_owned(), 1)]);
    for (method, uri, name, retried) in
        [(Method::GET, "/ab", "again", true), (Method::POST, "/b", "post", false), (Method::GET, "/b", "http", false)]
    {
        let request = request(method, uri);
        let matched = route::outbound(&http1, &request, "web").unwrap();
        assert_eq!((matched.route.meta.name(), matched.rule.retry.is_some()), (name, retried), "{uri}");
        assert_eq!(paths(&matched.rule.backends), [("web.default.svc-ipv6:80".to_owned(), 1)]);
        assert_eq!(matched.rule.timeouts.request.is_some(), name != "http");
    }
    assert_eq!(http1.budget, Some(("web.default.svc".into(), budget::Terms::DEFAULT)));
}

/// Requirement: a split holds for requests and for bytes; a profile lifts no prohibition; what is opaque stays it; without a policy the
/// name and the port lead to the endpoints.
#[test]
fn a_split_holds_for_every_protocol() {
    use crate::model::OpaqueVerdict::{Forbidden, Forward};
    let split = vec![("a:80".into(), 9_000), ("b:80".into(), 1_000)];
    let profile = Profile { fully_qualified_name: "web.default.svc".into(), split, ..Profile::default() };
    let shares = [("a:80".to_owned(), 9_000), ("b:80".to_owned(), 1_000)];
    let OutboundProtocol::Opaque(bytes) = profile.over(Some(&policy(OutboundProtocol::Opaque(opaque("web:80", Forward)))), 80).protocol
    else {
        panic!("not opaque")
    };
    assert_eq!(paths(&bytes.backends), shares);
    let OutboundProtocol::Grpc(calls) = profile.over(Some(&policy(OutboundProtocol::Grpc(http()))), 80).protocol else {
        panic!("not gRPC")
    };
    assert_eq!(paths(&calls.routes[0].rules[0].backends), shares);
    let closed = policy(OutboundProtocol::Opaque(opaque("web:80", Forbidden)));
    let OutboundProtocol::Opaque(closed) = profile.over(Some(&closed), 80).protocol else { panic!("not opaque") };
    assert_eq!(closed.verdict, Forbidden);
    let routed = Profile { routes: vec![named("a", path("/"))], split: vec![], ..profile };
    let OutboundProtocol::Detect { http1, .. } = routed.over(None, 8080).protocol else { panic!("not detected") };
    assert_eq!(paths(&http1.routes[0].rules[0].backends), [("web.default.svc:8080".to_owned(), 1)]);
    let bytes = Profile { opaque: true, ..routed }.over(None, 8080).protocol;
    assert!(matches!(bytes, OutboundProtocol::Opaque(_)));
}
