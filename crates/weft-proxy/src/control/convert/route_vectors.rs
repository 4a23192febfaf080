//! Requirement: requests go where `tests/vectors/routes.json` says.
//!
//! The table has the bytes of policy and profile that the control plane sends for the documents of a scenario; they are read, put
//! together and asked for a route here as a proxy does it. What must come of each row was written by hand.

use http::{HeaderName, HeaderValue, Request};
use prost::Message;
use serde_json::Value;
use weft_core::model::{BackendKind, OutboundHttp, OutboundPolicy, OutboundProtocol};
use weft_core::route::{self, Answer};

use super::{outbound, profile};
use crate::r#gen::{destination, outbound as wire};

const TABLE: &str = include_str!("../../../../../tests/vectors/routes.json");

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().expect("a text")
}

fn list(of: &Value) -> &[Value] {
    of.as_array().expect("a list")
}

fn bytes(of: &Value, name: &str) -> Vec<u8> {
    let hex = text(of, name);
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal")).collect()
}

fn policy_of(scenario: &Value) -> OutboundPolicy {
    let told = wire::OutboundPolicy::decode(&bytes(scenario, "policy")[..]).expect("a policy");
    let beside = destination::DestinationProfile::decode(&bytes(scenario, "profile")[..]).expect("a profile");
    let (policy, profile) = (outbound(&told).expect("a policy"), profile(&beside).expect("a profile"));
    let port = scenario["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
    if profile.decides() { profile.over(Some(&policy), port) } else { policy }
}

fn http_of(policy: &OutboundPolicy) -> &OutboundHttp {
    match &policy.protocol {
        OutboundProtocol::Detect { http1: http, .. } | OutboundProtocol::Grpc(http) => http,
        other => panic!("not HTTP: {other:?}"),
    }
}

fn request(row: &Value) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = text(row, "method").parse().expect("a method");
    *request.uri_mut() = text(row, "path").parse().expect("a path");
    for pair in list(&row["headers"]) {
        let name = HeaderName::from_bytes(pair[0].as_str().expect("a name").as_bytes()).expect("a name");
        request.headers_mut().insert(name, HeaderValue::from_str(pair[1].as_str().expect("a value")).expect("a value"));
    }
    request
}

fn answered(answer: &Answer) -> String {
    match answer {
        Answer::Redirect { status, location } => format!("redirect {status} {}", location.to_str().expect("a text")),
        Answer::Fail { status, message, .. } => format!("{status} {message}"),
    }
}

/// What comes of a request, in the words of the table.
fn comes(http: &OutboundHttp, row: &Value) -> String {
    let mut request = request(row);
    let random = row["random"].as_u64().and_then(|random| u32::try_from(random).ok()).expect("a number");
    let authority = route::authority(&request).to_owned();
    let Some(matched) = route::outbound(http, &request, &authority) else { return "404".into() };
    if let Err(answer) = route::apply_request(&matched.rule.filters, matched.matched, &mut request, || 0) {
        return answered(&answer);
    }
    let Some(backend) = route::backend(&matched.rule.backends, |_| true, random) else { return "500 no backend".into() };
    if let Err(answer) = route::apply_request(&backend.filters, matched.matched, &mut request, || 0) {
        return answered(&answer);
    }
    let name = match matched.route.meta.section() {
        "" => matched.route.meta.name(),
        section => section,
    };
    match &backend.kind {
        BackendKind::Balance { path, .. } => format!("{name} {}", path.replace(".svc.cluster.local", "")),
        BackendKind::Forward(endpoint) => format!("{name} {}", endpoint.addr),
        BackendKind::Nowhere => format!("{name} nowhere"),
    }
}

#[test]
fn requests_go_where_the_table_says() {
    let table: Value = serde_json::from_str(TABLE).expect("JSON");
    let mut rows = 0;
    for (number, scenario) in list(&table).iter().enumerate() {
        let policy = policy_of(scenario);
        for row in list(&scenario["rows"]) {
            rows += 1;
            assert_eq!(comes(http_of(&policy), row), text(row, "comes"), "scenario {number}: {}", row["requirement"]);
        }
    }
    assert!(rows >= 65);
}
