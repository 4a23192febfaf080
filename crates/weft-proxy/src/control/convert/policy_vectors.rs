//! Requirement: inbound policy answers as `tests/vectors/policy.json` says, to the word.
//!
//! The table has the bytes that the control plane sends for the documents of a scenario; they are read, converted and judged here as a
//! proxy does it. Its verdicts were written by hand, and the control plane's own evaluator reads the same rows.

use http::{HeaderName, HeaderValue, Request};
use prost::Message;
use serde_json::Value;
use weft_core::identity::{Client, Identity};
use weft_core::model::{InboundPolicy, Meta};
use weft_core::outcome::Cause;
use weft_core::policy::{self, Permit};

use super::inbound;
use crate::r#gen::inbound::Server;

const TABLE: &str = include_str!("../../../../../tests/vectors/policy.json");

fn text<'a>(of: &'a Value, name: &str) -> Option<&'a str> {
    of[name].as_str()
}

fn list(of: &Value) -> &[Value] {
    of.as_array().expect("a list")
}

fn policy_of(scenario: &Value) -> InboundPolicy {
    let hex = text(scenario, "server").expect("the bytes of the policy");
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    inbound(&Server::decode(&bytes[..]).expect("a message")).expect("a policy")
}

fn client(row: &Value) -> Client {
    match text(row, "client").expect("a client") {
        "-" => Client::Plaintext,
        "tls" => Client::TlsAnonymous,
        name => Client::Identified(Identity::parse(name).expect("an identity")),
    }
}

fn request(asked: &Value) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = text(asked, "method").expect("a method").parse().expect("a method");
    let (host, path) = (text(asked, "host").expect("a host"), text(asked, "path").expect("a path"));
    let uri = if host.is_empty() { path.to_owned() } else { format!("http://{host}{path}") };
    *request.uri_mut() = uri.parse().expect("a URI");
    for pair in list(&asked["headers"]) {
        let name = HeaderName::from_bytes(pair[0].as_str().expect("a name").as_bytes()).expect("a name");
        request.headers_mut().insert(name, HeaderValue::from_str(pair[1].as_str().expect("a value")).expect("a value"));
    }
    request
}

fn permitted(permit: &Permit<'_>, row: &Value, what: &str) {
    assert_eq!(Some(permit.authorization.name()), text(row, "allowed"), "{what}");
    assert_eq!(permit.route().map(Meta::name), text(row, "route"), "{what}");
    assert_eq!(permit.is_audited(), row["audited"] == true, "{what}");
}

#[test]
fn policy_answers_as_the_table_says() {
    let table: Value = serde_json::from_str(TABLE).expect("JSON");
    let mut rows = 0;
    for (number, scenario) in list(&table).iter().enumerate() {
        let policy = policy_of(scenario);
        for row in list(&scenario["rows"]) {
            rows += 1;
            let what = format!("scenario {number}: {}", row["requirement"]);
            let address = text(row, "address").expect("an address").parse().expect("an address");
            let asked = (!row["request"].is_null()).then(|| request(&row["request"]));
            let verdict = match &asked {
                Some(asked) => policy::http(&policy, &client(row), address, asked),
                None => policy::stream(&policy, &client(row), address),
            };
            match verdict {
                Ok(permit) => permitted(&permit, row, &what),
                Err(denied) => {
                    let words = if denied.cause == Cause::NoRoute { "no_route" } else { "denied" };
                    assert_eq!(Some(denied.reason.as_str()), text(row, words), "{what}");
                }
            }
        }
    }
    assert!(rows >= 120);
}
