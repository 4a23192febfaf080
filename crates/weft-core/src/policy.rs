//! Who may send what to this workload.
//!
//! Decides from the port's policy, the client's proven identity and address, and the request; a permission is a value ([`Permit`])
//! that only this module makes. It never reads a certificate and never answers a request: a refusal explains itself ([`Denied`]).

use std::net::IpAddr;

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

use crate::identity::{Client, Identity};
use crate::model::{
    Authentication, Authorization, Filter, HttpMatch, IdentitySuffix, InboundHttp, InboundPolicy, InboundProtocol, InboundRoute,
    InboundRule, Meta,
};
use crate::outcome::{Blame, Cause, Refusal, Retry, Stage};
use crate::route::{self, Matched};

/// Proof that inbound policy allowed one request, or one opaque connection. `route::inbound` takes it by value: a request that
/// skipped policy does not compile.
#[derive(Debug)]
pub struct Permit<'a> {
    /// The Server, or default policy, that governs the port.
    pub server: &'a Meta,
    /// The grant that allowed it.
    pub authorization: &'a Meta,
    matched: Option<Matched<'a, InboundRoute, InboundRule>>,
    _made_here: (),
}

impl<'a> Permit<'a> {
    /// The route that matched; none on a port without routes and for opaque connections.
    pub fn route(&self) -> Option<&'a Meta> {
        self.matched.as_ref().map(|matched| &matched.route.meta)
    }

    /// What the matching rule does to the request.
    pub fn filters(&self) -> &'a [Filter] {
        self.matched.as_ref().map_or(&[], |matched| &matched.rule.filters)
    }

    /// The match by which the request came to the route; redirects replace its prefix.
    pub fn matched(&self) -> Option<&'a HttpMatch> {
        self.matched.as_ref()?.matched
    }

    /// Whether nothing but an auditing default let it in: a policy that enforces would have refused it.
    pub fn is_audited(&self) -> bool {
        matches!(self.authorization, Meta::Default(name) if &**name == AUDIT)
    }
}

/// What is kept of a request while it is under way, so that it can be judged again when the policy of its port changes.
#[derive(Debug)]
pub struct UnderWay {
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    /// Kept where the port's routes asked for headers; else the copy is saved.
    headers: Option<HeaderMap>,
}

impl UnderWay {
    /// To be made from the very head that `port` permitted.
    pub fn of(port: &InboundPolicy, request: &Request<()>) -> Self {
        UnderWay {
            method: request.method().clone(),
            uri: request.uri().clone(),
            host: if request.uri().authority().is_none() { request.headers().get(HOST).cloned() } else { None },
            headers: if asks_for_headers(port) { Some(request.headers().clone()) } else { None },
        }
    }

    fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        if let Some(headers) = &self.headers {
            *request.headers_mut() = headers.clone();
        } else if let Some(host) = &self.host {
            request.headers_mut().insert(HOST, host.clone());
        }
        request
    }
}

/// Why policy says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// `Unauthorized` or `NoRoute`.
    pub cause: Cause,
    /// One sentence: who was refused, and by which rule.
    pub reason: String,
    /// The Server, or default policy, that governs the port.
    pub server: Meta,
    /// The route that the request matched.
    pub route: Option<Meta>,
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let (stage, blame) = match denied.cause {
            Cause::NoRoute => (Stage::Route, Blame::Policy),
            _ => (Stage::Authorize, Blame::Client),
        };
        Refusal::new(stage, blame, Retry::Safe, denied.cause, denied.reason)
    }
}

/// Judges one HTTP request. Routes are matched first, because a route may carry grants of its own; a port that has routes refuses
/// what matches none of them. A port without routes has one that takes everything.
pub fn http<'a>(port: &'a InboundPolicy, client: &Client, remote: IpAddr, request: &Request<()>) -> Result<Permit<'a>, Denied> {
    let matched = match routes(port) {
        Some(http) if !http.routes.is_empty() => match route::inbound_match(http, request) {
            Some(matched) => Some(matched),
            None => {
                let reason = format!("no route of {} matches {} {}", name(&port.server), request.method(), request.uri().path());
                return Err(Denied { cause: Cause::NoRoute, reason, server: port.server.clone(), route: None });
            }
        },
        _ => None,
    };
    permit(port, client, remote, matched)
}

/// Judges one connection whose bytes are passed on as they are.
pub fn stream<'a>(port: &'a InboundPolicy, client: &Client, remote: IpAddr) -> Result<Permit<'a>, Denied> {
    permit(port, client, remote, None)
}

/// Judges a request again that is under way, by a policy that came later. Where that tells requests apart by headers which were not
/// kept, the request is denied: the client may send it again, whole.
pub fn again(port: &InboundPolicy, client: &Client, remote: IpAddr, under_way: &UnderWay) -> Result<(), Denied> {
    if under_way.headers.is_none() && asks_for_headers(port) {
        let reason = format!("the routes of {} now ask for headers that a request under way has no more", name(&port.server));
        return Err(Denied { cause: Cause::Unauthorized, reason, server: port.server.clone(), route: None });
    }
    http(port, client, remote, &under_way.request()).map(|_| ())
}

fn asks_for_headers(port: &InboundPolicy) -> bool {
    let Some(http) = routes(port) else { return false };
    http.routes.iter().flat_map(|route| &route.rules).flat_map(|rule| &rule.matches).any(|wanted| !wanted.headers.is_empty())
}

fn routes(port: &InboundPolicy) -> Option<&InboundHttp> {
    match &port.protocol {
        InboundProtocol::Detect { http, .. } => Some(http),
        InboundProtocol::Http1(http) | InboundProtocol::Http2(http) | InboundProtocol::Grpc(http) => Some(http),
        InboundProtocol::Opaque | InboundProtocol::Tls => None,
    }
}

fn permit<'a>(
    port: &'a InboundPolicy,
    client: &Client,
    remote: IpAddr,
    matched: Option<Matched<'a, InboundRoute, InboundRule>>,
) -> Result<Permit<'a>, Denied> {
    let remote = remote.to_canonical();
    let of_route = matched.as_ref().map_or(&[][..], |matched| &matched.route.authorizations);
    let mut all = of_route.iter().chain(&port.authorizations);
    if let Some(granted) = all.clone().find(|authorization| grants(authorization, client, remote)) {
        return Ok(Permit { server: &port.server, authorization: &granted.meta, matched, _made_here: () });
    }
    let from_here = all.any(|authorization| covers(authorization, remote));
    let route = matched.map(|matched| &matched.route.meta);
    let rule = match route {
        Some(route @ Meta::Resource(_)) if !of_route.is_empty() => format!("{}, {}", name(&port.server), name(route)),
        _ => name(&port.server),
    };
    let reason = if of_route.is_empty() && port.authorizations.is_empty() {
        format!("nobody is authorized ({rule})")
    } else if !from_here {
        format!("client address {remote} is in no authorized network ({rule})")
    } else {
        match client {
            Client::Plaintext | Client::TlsAnonymous => format!("client has no mesh identity ({rule})"),
            Client::Identified(identity) => format!("client {identity} is not authorized ({rule})"),
        }
    };
    Err(Denied { cause: Cause::Unauthorized, reason, server: port.server.clone(), route: route.cloned() })
}

fn grants(authorization: &Authorization, client: &Client, remote: IpAddr) -> bool {
    covers(authorization, remote)
        && match (&authorization.authentication, client) {
            (Authentication::Unauthenticated, _) => true,
            (Authentication::TlsUnauthenticated, client) => *client != Client::Plaintext,
            (Authentication::TlsAuthenticated { identities, suffixes }, Client::Identified(identity)) => {
                identities.contains(identity) || suffixes.iter().any(|suffix| ends_with(identity, suffix))
            }
            (Authentication::TlsAuthenticated { .. }, _) => false,
        }
}

/// A grant without networks covers nobody.
fn covers(authorization: &Authorization, remote: IpAddr) -> bool {
    authorization.networks.iter().any(|network| network.contains(remote))
}

/// At least one label stands before the suffix. A URI is compared whole or not at all.
fn ends_with(identity: &Identity, IdentitySuffix(suffix): &IdentitySuffix) -> bool {
    if suffix.is_empty() {
        return true;
    }
    let Identity::Dns(name) = identity else { return false };
    let mut labels = name.rsplit('.');
    suffix.iter().rev().all(|part| labels.next().is_some_and(|label| label.eq_ignore_ascii_case(part))) && labels.next().is_some()
}

fn name(meta: &Meta) -> String {
    match meta {
        Meta::Default(name) => format!("default policy {name}"),
        // The metadata of a Server's default policy comes without a kind of its own.
        Meta::Resource(resource) if resource.kind.is_empty() => format!("server {}", resource.name),
        Meta::Resource(resource) => format!("{} {}", resource.kind, resource.name),
    }
}

/// The default policy that lets everybody in and notes it.
const AUDIT: &str = "audit";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{HeaderMatch, HostMatch, Network, PathMatch, ValueMatch};

    fn grant(authentication: Authentication, net: &str) -> Arc<Authorization> {
        let networks = vec![Network { net: net.parse().unwrap(), except: vec![] }];
        Arc::new(Authorization { meta: Meta::default_named("grant"), networks, authentication })
    }

    fn port(authorizations: Vec<Arc<Authorization>>) -> InboundPolicy {
        InboundPolicy { protocol: InboundProtocol::Opaque, server: Meta::default_named("test"), authorizations }
    }

    fn authentication() -> impl Strategy<Value = Authentication> {
        let suffix = prop::collection::vec("[ab]", 0..3).prop_map(IdentitySuffix);
        let identity = "[ab](\\.[ab]){0,2}".prop_map(|name| Identity::parse(&name).unwrap());
        prop_oneof![
            Just(Authentication::Unauthenticated),
            Just(Authentication::TlsUnauthenticated),
            (prop::collection::vec(identity, 0..2), prop::collection::vec(suffix, 0..2))
                .prop_map(|(identities, suffixes)| Authentication::TlsAuthenticated { identities, suffixes }),
        ]
    }

    fn client() -> impl Strategy<Value = Client> {
        prop_oneof![
            Just(Client::Plaintext),
            Just(Client::TlsAnonymous),
            "[ab](\\.[ab]){0,2}".prop_map(|name| Client::Identified(Identity::parse(&name).unwrap())),
            Just(Client::Identified(Identity::parse("spiffe://a/b").unwrap())),
        ]
    }

    proptest! {
        /// Requirement: adding a grant never denies what was allowed.
        #[test]
        fn a_grant_never_denies(client in client(), who in prop::collection::vec(authentication(), 0..4), more in authentication()) {
            let remote = "10.1.2.3".parse().unwrap();
            let mut grants: Vec<_> = who.into_iter().map(|who| grant(who, "10.0.0.0/8")).collect();
            let before = stream(&port(grants.clone()), &client, remote).is_ok();
            grants.insert(0, grant(more, "10.0.0.0/8"));
            prop_assert!(!before || stream(&port(grants), &client, remote).is_ok());
        }

        /// Requirement: a better proof of identity never gets less: who is allowed in plaintext is allowed by TLS, and by name.
        #[test]
        fn a_better_proof_never_gets_less(client in client(), who in authentication()) {
            let (remote, port) = ("10.1.2.3".parse().unwrap(), port(vec![grant(who, "10.0.0.0/8")]));
            let allowed = |client: &Client| stream(&port, client, remote).is_ok();
            prop_assert!(!allowed(&Client::Plaintext) || allowed(&Client::TlsAnonymous));
            prop_assert!(!allowed(&Client::TlsAnonymous) || client == Client::Plaintext || allowed(&client));
        }
    }

    fn routed(headers: bool, authorizations: Vec<Arc<Authorization>>) -> InboundPolicy {
        let header = HeaderMatch { name: http::header::ACCEPT, value: ValueMatch::Exact(b"x".to_vec()) };
        let path = Some(PathMatch::Prefix("/a".into()));
        let wanted = HttpMatch { path, headers: headers.then_some(header).into_iter().collect(), ..HttpMatch::default() };
        let rules = vec![InboundRule { matches: vec![wanted], filters: vec![] }];
        let hosts = vec![HostMatch::Exact("host".into())];
        let route = InboundRoute { meta: Meta::default_named("route"), hosts, rules, authorizations };
        let http = Arc::new(InboundHttp { routes: vec![route] });
        InboundPolicy { protocol: InboundProtocol::Http1(http), server: Meta::default_named("test"), authorizations: vec![] }
    }

    /// Requirement: a request under way is judged again as a new one with the same head would be; where its head is not known any more as
    /// far as the new policy asks for it, it is denied.
    #[test]
    fn a_request_under_way_is_judged_again() {
        let (client, remote) = (Client::Plaintext, "10.1.2.3".parse().unwrap());
        let open = || vec![grant(Authentication::Unauthenticated, "10.0.0.0/8")];
        let request = Request::get("/a/b").header(HOST, "host:80").header("accept", "x").body(()).unwrap();
        let plain = UnderWay::of(&routed(false, open()), &request);
        assert!(again(&routed(false, open()), &client, remote, &plain).is_ok());
        assert!(again(&routed(false, vec![]), &client, remote, &plain).is_err());
        assert!(again(&port(vec![]), &client, remote, &plain).is_err());
        assert!(again(&port(open()), &client, remote, &plain).is_ok());
        assert!(again(&routed(true, open()), &client, remote, &plain).is_err());
        let whole = UnderWay::of(&routed(true, open()), &request);
        assert!(again(&routed(true, open()), &client, remote, &whole).is_ok());
        assert!(again(&routed(true, vec![]), &client, remote, &whole).is_err());
    }

    /// Requirement: an IPv4 client seen through an IPv6 socket is the same client.
    #[test]
    fn mapped_addresses_are_ipv4() {
        let port = port(vec![grant(Authentication::Unauthenticated, "10.0.0.0/8")]);
        assert!(stream(&port, &Client::Plaintext, "::ffff:10.1.2.3".parse().unwrap()).is_ok());
    }
}
