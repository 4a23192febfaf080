//! Our Python control plane, asked by the published crate's clients: every method a proxy calls.
//!
//! Neither side of these calls is code generated from our own files: the requests and the reading of the answers are the
//! crate's. The control plane is `tests/control_plane.py`, run by the interpreter that `WEFT_PYTHON` names (`make test`
//! sets it; else the one in `.venv`). Without one the test fails.

use std::{
    env,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use linkerd2_proxy_api::{
    destination::{GetDestination, destination_client::DestinationClient, protocol_hint::Protocol, tls_identity::Strategy, update},
    identity::{CertifyRequest, identity_client::IdentityClient},
    inbound::{self, PortSpec, authn::Permit, inbound_server_policies_client::InboundServerPoliciesClient},
    meta::metadata,
    outbound::{self, TrafficSpec, backend, http_route::distribution, outbound_policies_client::OutboundPoliciesClient, traffic_spec},
};
use tonic::{Code, transport::Channel};

const WEB: &str = "web.default.serviceaccount.identity.weft.cluster.local";
const WORKLOAD: &str = r#"{"ns":"default","pod":"web-0"}"#;

/// A running control plane; it ends with this value, and with this process.
struct ControlPlane {
    child: Child,
    ready: serde_json::Value,
}

impl ControlPlane {
    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let python = env::var_os("WEFT_PYTHON").map_or_else(|| root.join(".venv/bin/python"), Into::into);
        let mut child = Command::new(&python)
            .args(["-m", "tests.control_plane"])
            .current_dir(&root)
            .env("PYTHONPATH", root.join("python"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error} (`make test` prepares it)", python.display()));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).expect("the control plane says that it is ready");
        Self { child, ready }
    }

    fn text(&self, key: &str) -> &str {
        self.ready[key].as_str().unwrap()
    }

    async fn channel(&self, service: &str) -> Channel {
        let address = format!("http://127.0.0.1:{}", self.ready[service]);
        Channel::from_shared(address).unwrap().connect().await.unwrap()
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}

/// One control plane for all the questions: starting it costs more than they do.
#[tokio::test]
async fn the_published_clients_are_answered() {
    let plane = ControlPlane::start();
    let workload_certificate = certify(&plane).await;
    assert!(!workload_certificate.is_empty());
    refuse_another_name(&plane).await;
    endpoints(&plane).await;
    profile(&plane).await;
    inbound_policy(&plane).await;
    outbound_policy(&plane).await;
}

/// A certificate request for one name: the identity, no common name.
fn certificate_request(name: &str) -> (rcgen::KeyPair, Vec<u8>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![name.into()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let request = params.serialize_request(&key).unwrap().der().to_vec();
    (key, request)
}

/// Identity.Certify: a leaf for our key and name, that the issuer in the answer signed, and a date.
async fn certify(plane: &ControlPlane) -> Vec<u8> {
    let (key, request) = certificate_request(WEB);
    let mut client = IdentityClient::new(plane.channel("identity").await);
    let answer = client
        .certify(CertifyRequest { identity: WEB.into(), token: plane.text("token").into(), certificate_signing_request: request })
        .await
        .unwrap()
        .into_inner();

    let (_, leaf) = x509_parser::parse_x509_certificate(&answer.leaf_certificate).unwrap();
    let (_, issuer) = x509_parser::parse_x509_certificate(&answer.intermediate_certificates[0]).unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names, [x509_parser::extensions::GeneralName::DNSName(WEB)]);
    assert_eq!(leaf.public_key().subject_public_key.data.as_ref(), key.public_key_raw());
    assert_eq!(leaf.issuer(), issuer.subject());
    assert_eq!(leaf.validity().not_after.timestamp(), answer.valid_until.unwrap().seconds);
    answer.leaf_certificate
}

/// Identity.Certify: a token is good for its own name only.
async fn refuse_another_name(plane: &ControlPlane) {
    let canary = WEB.replacen("web", "canary", 1);
    let (_, request) = certificate_request(&canary);
    let mut client = IdentityClient::new(plane.channel("identity").await);
    let refusal = client
        .certify(CertifyRequest { identity: canary, token: plane.text("token").into(), certificate_signing_request: request })
        .await
        .unwrap_err();

    assert_eq!(refusal.code(), Code::FailedPrecondition);
}

fn destination(path: &str) -> GetDestination {
    GetDestination { scheme: "k8s".into(), path: path.into(), context_token: WORKLOAD.into() }
}

/// Destination.Get: the pod behind the service, its identity, and that its proxy takes HTTP/2 with a transport header.
async fn endpoints(plane: &ControlPlane) {
    let mut client = DestinationClient::new(plane.channel("destination").await);
    let mut updates = client.get(destination("web.default.svc.cluster.local:80")).await.unwrap().into_inner();
    let Some(update::Update::Add(mut set)) = updates.message().await.unwrap().unwrap().update else {
        panic!("the first message holds the endpoints");
    };

    assert_eq!(set.addrs.len(), 1);
    let endpoint = set.addrs.remove(0);
    let address = SocketAddr::try_from(endpoint.addr.unwrap()).unwrap();
    assert_eq!(address, SocketAddr::from(([198, 18, 0, 10], 8080)));
    let Some(Strategy::DnsLikeIdentity(identity)) = endpoint.tls_identity.unwrap().strategy else {
        panic!("a DNS-like identity");
    };
    assert_eq!(identity.name, WEB);
    let hint = endpoint.protocol_hint.unwrap();
    assert!(matches!(hint.protocol, Some(Protocol::H2(_))));
    assert_eq!(hint.opaque_transport.unwrap().inbound_port, 4143);
}

/// Destination.GetProfile: the name of the service at an address.
async fn profile(plane: &ControlPlane) {
    let mut client = DestinationClient::new(plane.channel("destination").await);
    let mut profiles = client.get_profile(destination("198.19.0.10:80")).await.unwrap().into_inner();
    let profile = profiles.message().await.unwrap().unwrap();

    assert_eq!(profile.fully_qualified_name, "web.default.svc.cluster.local");
    assert!(!profile.opaque_protocol);
}

/// InboundServerPolicies: a port under `all-authenticated` detects and lets mesh clients in, by both methods alike.
async fn inbound_policy(plane: &ControlPlane) {
    let port = PortSpec { workload: WORKLOAD.into(), port: 8080 };
    let mut client = InboundServerPoliciesClient::new(plane.channel("policy").await);
    let once = client.get_port(port.clone()).await.unwrap().into_inner();
    let watched = client.watch_port(port).await.unwrap().into_inner().message().await.unwrap().unwrap();

    assert_eq!(once, watched);
    assert!(matches!(once.protocol.unwrap().kind, Some(inbound::proxy_protocol::Kind::Detect(_))));
    assert!(!once.authorizations.is_empty());
    for authorization in once.authorizations {
        assert!(!authorization.networks.is_empty(), "a proxy ignores an authorization without networks");
        let permit = authorization.authentication.unwrap().permit;
        assert!(matches!(permit, Some(Permit::MeshTls(_))), "{permit:?}");
    }
}

/// OutboundPolicies: the route's two backends with their weights, for HTTP/1 and HTTP/2, by both methods alike.
async fn outbound_policy(plane: &ControlPlane) {
    let target = SocketAddr::from(([198, 19, 0, 10], 80));
    let spec = TrafficSpec { source_workload: WORKLOAD.into(), target: Some(traffic_spec::Target::Addr(target.into())) };
    let mut client = OutboundPoliciesClient::new(plane.channel("policy").await);
    let once = client.get(spec.clone()).await.unwrap().into_inner();
    let watched = client.watch(spec).await.unwrap().into_inner().message().await.unwrap().unwrap();

    assert_eq!(once, watched);
    let Some(metadata::Kind::Resource(service)) = once.metadata.unwrap().kind else {
        panic!("the policy names its Service");
    };
    assert_eq!((service.kind.as_str(), service.name.as_str(), service.port), ("Service", "web", 80));
    let Some(outbound::proxy_protocol::Kind::Detect(detect)) = once.protocol.unwrap().kind else {
        panic!("nothing declares the port's protocol");
    };
    let split = [("web.default.svc.cluster.local:80".into(), 90), ("canary.default.svc.cluster.local:80".into(), 10)];
    assert_eq!(weights(&detect.http1.unwrap().routes), split);
    assert_eq!(weights(&detect.http2.unwrap().routes), split);
    assert_eq!(detect.opaque.unwrap().routes.len(), 1, "a proxy takes exactly one opaque route");
}

/// The discovery paths and weights of the first route's first rule.
fn weights(routes: &[outbound::HttpRoute]) -> Vec<(String, u32)> {
    let distribution = routes[0].rules[0].backends.clone().unwrap().kind.unwrap();
    let distribution::Kind::RandomAvailable(random) = distribution else {
        panic!("weights are a random distribution: {distribution:?}");
    };
    random.backends.into_iter().map(|weighted| (path(weighted.backend.unwrap().backend.unwrap()), weighted.weight)).collect()
}

fn path(backend: outbound::Backend) -> String {
    let Some(backend::Kind::Balancer(balancer)) = backend.kind else {
        panic!("a balancer: {backend:?}");
    };
    let Some(backend::endpoint_discovery::Kind::Dst(get)) = balancer.discovery.unwrap().kind else {
        panic!("a discovery");
    };
    get.path
}
