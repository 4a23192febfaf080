//! Requirement: inbound policy answers as `tests/vectors/policy.json` says, to the word; the control plane's simulation reads the
//! same file.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use serde::Deserialize;
use weft_core::identity::{Client, Identity};
use weft_core::model::{
    Authentication, Authorization, HttpMatch, IdentitySuffix, InboundHttp, InboundPolicy, InboundProtocol, InboundRoute, InboundRule, Meta,
    Network, PathMatch, Resource,
};
use weft_core::outcome::Cause;
use weft_core::{policy, route};

#[derive(Deserialize)]
struct Case {
    requirement: String,
    server: String,
    authorizations: Vec<Grant>,
    #[serde(default)]
    routes: Vec<Route>,
    client: String,
    remote: String,
    path: String,
    allowed: Option<String>,
    denied: Option<String>,
    no_route: Option<String>,
    route: Option<String>,
}

#[derive(Deserialize)]
struct Grant {
    name: String,
    networks: Vec<String>,
    except: Vec<String>,
    authentication: Who,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Who {
    Kind(String),
    Named { identities: Vec<String>, suffixes: Vec<String> },
}

#[derive(Deserialize)]
struct Route {
    name: String,
    prefix: String,
    authorizations: Vec<Grant>,
}

fn grant(grant: &Grant) -> Arc<Authorization> {
    let except: Vec<_> = grant.except.iter().map(|net| net.parse().unwrap()).collect();
    let networks = grant.networks.iter().map(|net| Network { net: net.parse().unwrap(), except: except.clone() });
    let suffix = |text: &String| IdentitySuffix(text.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect());
    let authentication = match &grant.authentication {
        Who::Kind(kind) if kind == "unauthenticated" => Authentication::Unauthenticated,
        Who::Kind(kind) if kind == "tls" => Authentication::TlsUnauthenticated,
        Who::Kind(kind) => panic!("unknown authentication {kind}"),
        Who::Named { identities, suffixes } => Authentication::TlsAuthenticated {
            identities: identities.iter().map(|name| Identity::parse(name).unwrap()).collect(),
            suffixes: suffixes.iter().map(suffix).collect(),
        },
    };
    Arc::new(Authorization { meta: Meta::default_named(&grant.name), networks: networks.collect(), authentication })
}

fn server(text: &str) -> Meta {
    match text.strip_prefix("default policy ") {
        Some(name) => Meta::default_named(name),
        None => {
            let (kind, name) = text.split_once(' ').unwrap();
            Meta::Resource(Arc::new(Resource { kind: kind.into(), name: name.into(), ..Default::default() }))
        }
    }
}

#[test]
fn policy_answers_as_the_vectors_say() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../tests/vectors/policy.json")).unwrap();
    for case in cases {
        let routes = case.routes.iter().map(|route| {
            let path = Some(PathMatch::Prefix(route.prefix.clone()));
            let rule = InboundRule { matches: vec![HttpMatch { path, ..Default::default() }], filters: vec![] };
            let authorizations = route.authorizations.iter().map(grant).collect();
            InboundRoute { meta: Meta::default_named(&route.name), hosts: vec![], rules: vec![rule], authorizations }
        });
        let http = Arc::new(InboundHttp { routes: routes.collect() });
        let port = InboundPolicy {
            protocol: InboundProtocol::Detect { timeout: Duration::from_secs(10), http },
            server: server(&case.server),
            authorizations: case.authorizations.iter().map(grant).collect(),
        };
        let client = match case.client.as_str() {
            "plaintext" => Client::Plaintext,
            "tls" => Client::TlsAnonymous,
            name => Client::Identified(Identity::parse(name).unwrap()),
        };
        let (remote, request) = (case.remote.parse().unwrap(), Request::get(&case.path).body(()).unwrap());
        match policy::http(&port, &client, remote, &request) {
            Ok(permit) => {
                let routed = route::inbound(permit);
                assert_eq!(Some(routed.authorization.name()), case.allowed.as_deref(), "{}", case.requirement);
                assert_eq!(routed.route.map(Meta::name), case.route.as_deref(), "{}", case.requirement);
            }
            Err(denied) => {
                let said = Some(denied.reason);
                let (words, other) = match denied.cause {
                    Cause::NoRoute => (case.no_route, case.denied),
                    _ => (case.denied, case.no_route),
                };
                assert_eq!((said, None), (words, other), "{}", case.requirement);
                assert_eq!(denied.route.as_ref().map(Meta::name), case.route.as_deref(), "{}", case.requirement);
            }
        }
    }
}
