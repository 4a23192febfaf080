//! Against a control plane in the process, over real sockets.

use std::collections::HashMap;
use std::sync::Mutex;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use weft_core::model::{Distribution, Meta, OutboundProtocol};

use super::*;
use crate::clock;
use crate::control::backoff::Backoff;
use crate::control::channels::Channels;
use crate::control::connect::{Proof, Target, channel};
use crate::control::convert::tcp_address;
use crate::control::place::Place;
use crate::r#gen::destination::{
    AddrSet, DestinationProfile, GetDestination, NoEndpoints, Update, WeightedAddr, WeightedAddrSet, WeightedDst, update,
};
use crate::r#gen::inbound::{self as wire_inbound, PortSpec, Server};
use crate::r#gen::meta::{Metadata, metadata};
use crate::r#gen::outbound::{self as wire_outbound, TrafficSpec};
use crate::metrics::{Format, Registry};
use crate::settings::Settings;

/// One thing that the control plane does on a stream.
#[derive(Clone)]
enum Step {
    Say(Bytes),
    /// Ends the stream with a gRPC status.
    End(u32),
    /// Waits until the test goes on.
    Wait(Arc<Notify>),
    Silence,
}

fn say(message: &impl Message) -> Step {
    Step::Say(message.encode_to_vec().into())
}

/// What is done on the streams of a method, one script each time that it is called; the last one repeats.
type Scripts = HashMap<&'static str, Vec<Vec<Step>>>;

struct Plane {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<(String, Bytes)>>>,
}

impl Plane {
    async fn start(scripts: Scripts) -> Plane {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (scripts, asked) = (Arc::new(Mutex::new(scripts)), Arc::new(Mutex::new(Vec::new())));
        let log = asked.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (scripts, log) = (scripts.clone(), log.clone());
                tokio::spawn(async move {
                    // As few as a server should let begin at once.
                    let builder = h2::server::Builder::new().max_concurrent_streams(100).clone();
                    let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::spawn(call(request, respond, scripts.clone(), log.clone()));
                    }
                });
            }
        });
        Plane { addr, asked }
    }

    fn asked(&self, method: &str) -> Vec<Bytes> {
        self.asked.lock().unwrap().iter().filter(|(path, _)| path.ends_with(method)).map(|(_, body)| body.clone()).collect()
    }
}

async fn call(
    request: Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    scripts: Arc<Mutex<Scripts>>,
    log: Arc<Mutex<Vec<(String, Bytes)>>>,
) {
    let path = request.uri().path().to_string();
    let mut body = BytesMut::new();
    let mut received = request.into_body();
    while let Some(Ok(data)) = received.data().await {
        body.extend_from_slice(&data);
    }
    log.lock().unwrap().push((path.clone(), body.split_off(5).freeze()));
    let script = {
        let mut scripts = scripts.lock().unwrap();
        let scripts = scripts.iter_mut().find(|(method, _)| path.ends_with(**method)).expect("a script for the method").1;
        if scripts.len() > 1 { scripts.remove(0) } else { scripts[0].clone() }
    };
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut stream = respond.send_response(head, false).unwrap();
    for step in script {
        match step {
            Step::Say(message) => {
                let mut frame = BytesMut::new();
                frame.put_u8(0);
                frame.put_u32(message.len() as u32);
                frame.put(message);
                stream.send_data(frame.freeze(), false).unwrap();
            }
            Step::End(code) => {
                let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), code.to_string().parse().unwrap())]);
                stream.send_trailers(trailers).unwrap();
                return;
            }
            Step::Wait(notify) => notify.notified().await,
            Step::Silence => std::future::pending().await,
        }
    }
}

fn settings() -> Settings {
    Settings::read(|name| {
        Some(match name {
            "LINKERD2_PROXY_DESTINATION_SVC_ADDR" | "LINKERD2_PROXY_POLICY_SVC_ADDR" | "LINKERD2_PROXY_IDENTITY_SVC_ADDR" => {
                "127.0.0.1:1".into()
            }
            "LINKERD2_PROXY_POLICY_WORKLOAD" => "web-0".into(),
            "LINKERD2_PROXY_IDENTITY_LOCAL_NAME" => "web.default".into(),
            "LINKERD2_PROXY_IDENTITY_TOKEN_FILE" | "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS" => "x".into(),
            "LINKERD2_PROXY_INBOUND_DEFAULT_POLICY" => "all-authenticated".into(),
            _ => return None,
        })
    })
    .unwrap()
}

fn view(plane: &Plane, keys: usize) -> (View, Driver) {
    view_of(&settings(), plane.addr, keys)
}

fn view_of(settings: &Settings, addr: SocketAddr, keys: usize) -> (View, Driver) {
    let target = Target { place: Place::Address(addr), name: None, mark: None };
    let nobody = Proof::Certified(watch::channel(None).1);
    let to = || {
        let (target, nobody) = (target.clone(), nobody.clone());
        Channels::new(move || channel(target.clone(), nobody.clone()))
    };
    let patience = Patience {
        initial: Duration::from_secs(20),
        idle: Duration::from_secs(300),
        lifetime: Duration::from_secs(3600),
        backoff: Backoff { min: Duration::from_millis(5), max: Duration::from_millis(20), jitter: 0.0 },
        chance: || 0.0,
    };
    let asked = Asked { destination: to(), policy: to(), workload: "web-0".into(), context: "here".into(), patience };
    let limits = Limits { keys, outbound_idle: Duration::from_secs(600), inbound_idle: Duration::from_secs(600) };
    View::new(asked, DefaultInbound::new(settings), limits)
}

/// A view without a control plane, in which every destination is `outbound` and every path leads to `endpoints`.
pub(crate) fn fixed(settings: &Settings, outbound: Discovery, endpoints: Endpoints) -> View {
    let (view, mut driver) = view_of(settings, addr("127.0.0.1:1"), 16);
    let (outbound, endpoints) = (Arc::new(outbound), Arc::new(endpoints));
    tokio::task::spawn_local(async move {
        loop {
            tokio::select! {
                Some(start) = driver.outbound.recv() => {
                    let outbound = outbound.clone();
                    start.run(|_, publish, _| async move { hold(&publish, Some(outbound)).await });
                }
                Some(start) = driver.endpoints.recv() => {
                    let endpoints = endpoints.clone();
                    start.run(|_, publish, _| async move { hold(&publish, Some(endpoints)).await });
                }
                Some(_) = driver.inbound.recv() => {}
                else => return,
            }
        }
    });
    view
}

async fn hold<T>(publish: &watch::Sender<T>, value: T) {
    publish.send_replace(value);
    std::future::pending().await
}

/// Runs a conversation beside the driver, with a generous deadline.
async fn with<T>(driver: Driver, conversation: impl Future<Output = T>) -> T {
    tokio::select! {
        () = driver.run() => unreachable!("it runs as long as the view lives"),
        said = conversation => said,
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("what was expected was never published"),
    }
}

fn at(text: &str) -> Destination {
    Destination::Address(addr(text))
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn add(addrs: &[&str]) -> Update {
    let addrs = addrs.iter().map(|a| WeightedAddr { addr: Some(tcp_address(addr(a))), ..WeightedAddr::default() }).collect();
    Update { update: Some(update::Update::Add(WeightedAddrSet { addrs, ..WeightedAddrSet::default() })) }
}

fn remove(addrs: &[&str]) -> Update {
    let addrs = addrs.iter().map(|a| tcp_address(addr(a))).collect();
    Update { update: Some(update::Update::Remove(AddrSet { addrs })) }
}

fn keys(endpoints: &Endpoints) -> Vec<String> {
    endpoints.endpoints.keys().map(ToString::to_string).collect()
}

fn policy(name: &str) -> wire_outbound::OutboundPolicy {
    let metadata = Some(Metadata { kind: Some(metadata::Kind::Default(name.into())) });
    let kind = Some(wire_outbound::proxy_protocol::Kind::Http2(Default::default()));
    wire_outbound::OutboundPolicy { metadata, protocol: Some(wire_outbound::ProxyProtocol { kind }) }
}

/// Where a split sends requests.
fn split_of(protocol: &OutboundProtocol) -> String {
    let (OutboundProtocol::Http2(http) | OutboundProtocol::Detect { http1: http, .. }) = protocol else { return String::new() };
    match http.routes.first().map(|route| &route.rules[0].backends) {
        Some(Distribution::Weighted(backends)) => format!(" to {}", backends[0].0.meta.name()),
        _ => String::new(),
    }
}

/// Requirement: endpoints are added and removed one by one; while the control plane is away the last ones stay; after it is back,
/// its first answer replaces them.
#[tokio::test]
async fn endpoints_follow_and_survive() {
    let broken = Arc::new(Notify::new());
    let plane = Plane::start(HashMap::from([(
        "Destination/Get",
        vec![
            vec![
                say(&add(&["10.0.0.1:80", "10.0.0.2:80"])),
                say(&remove(&["10.0.0.1:80"])),
                say(&add(&["10.0.0.3:80"])),
                Step::Wait(broken.clone()),
                Step::End(14),
            ],
            vec![Step::End(14)],
            vec![say(&add(&["10.0.0.9:80"])), Step::Silence],
        ],
    )]))
    .await;
    let (view, driver) = view(&plane, 10);
    with(driver, async {
        let mut endpoints = view.endpoints("web.default.svc.cluster.local:80");
        let settled = |e: &Option<Arc<Endpoints>>| e.as_ref().is_some_and(|e| keys(e) == ["10.0.0.2:80", "10.0.0.3:80"]);
        assert!(endpoints.wait_for(settled).await.unwrap().as_ref().unwrap().exists);
        endpoints.mark_unchanged();
        broken.notify_one();
        // The very next value is the one after the loss: nothing was published in between.
        endpoints.changed().await.unwrap();
        assert_eq!(keys(endpoints.borrow().as_ref().unwrap()), ["10.0.0.9:80"]);
    })
    .await;
    let asked = plane.asked("Destination/Get");
    assert_eq!(asked.len(), 3);
    let asked = GetDestination::decode(asked[0].clone()).unwrap();
    assert_eq!((asked.path.as_str(), asked.context_token.as_str()), ("web.default.svc.cluster.local:80", "here"));
}

/// Requirement: more destinations are known than the control plane lets streams begin on one connection (bug: the 513th waited for ever).
#[tokio::test]
async fn many_are_known_at_once() {
    let plane = Plane::start(HashMap::from([("Destination/Get", vec![vec![say(&add(&["10.0.0.1:80"])), Step::Silence]])])).await;
    let (view, driver) = view(&plane, 1000);
    with(driver, async {
        let mut known = Vec::new();
        for number in 0..250 {
            let mut endpoints = view.endpoints(&format!("d{number}.default.svc.cluster.local:80"));
            endpoints.wait_for(Option::is_some).await.unwrap();
            known.push(endpoints);
        }
    })
    .await;
    assert_eq!(plane.asked("Destination/Get").len(), 250);
}

/// Requirement: a destination that the control plane does not know has no endpoints and does not exist, and is asked about again.
#[tokio::test]
async fn an_unknown_destination_may_come_to_be() {
    let none = Update { update: Some(update::Update::NoEndpoints(NoEndpoints { exists: true })) };
    let plane = Plane::start(HashMap::from([("Destination/Get", vec![vec![Step::End(5)], vec![say(&none), Step::Silence]])])).await;
    let (view, driver) = view(&plane, 10);
    with(driver, async {
        let mut endpoints = view.endpoints("web:80");
        let first = endpoints.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        assert_eq!((first.exists, first.endpoints.len()), (false, 0));
        endpoints.wait_for(|e| e.as_ref().is_some_and(|e| e.exists)).await.unwrap();
    })
    .await;
}

/// Requirement: an address is asked about as policy and as profile; an endpoint in the profile wins, then its routes
/// and split over those of the policy, then the policy, and with
/// neither the destination is unknown.
#[tokio::test]
async fn policy_and_profile_are_combined() {
    let endpoint = DestinationProfile {
        endpoint: Some(WeightedAddr { addr: Some(tcp_address(addr("10.0.0.1:80"))), ..WeightedAddr::default() }),
        opaque_protocol: true,
        ..DestinationProfile::default()
    };
    let empty = DestinationProfile::default();
    let split = DestinationProfile {
        dst_overrides: vec![WeightedDst { authority: "other:80".into(), weight: 1, backend_ref: None }],
        ..DestinationProfile::default()
    };
    for (policies, profiles, expected) in [
        (vec![say(&policy("web")), Step::Silence], vec![say(&split), Step::Silence], "policy web to other:80"),
        (vec![Step::End(5)], vec![say(&split), Step::Silence], "policy profile to other:80"),
        (vec![say(&policy("web")), Step::Silence], vec![say(&empty), Step::Silence], "policy web"),
        (vec![say(&policy("web")), Step::Silence], vec![Step::End(3)], "policy web"),
        (vec![Step::Silence], vec![say(&endpoint), Step::Silence], "endpoint 10.0.0.1:80 opaque"),
        (vec![Step::End(5)], vec![say(&empty), Step::Silence], "unknown"),
        (vec![Step::End(5)], vec![Step::End(5)], "unknown"),
        (vec![say(&wire_outbound::OutboundPolicy::default()), Step::Silence], vec![Step::End(5)], "policy invalid"),
    ] {
        let plane =
            Plane::start(HashMap::from([("OutboundPolicies/Watch", vec![policies]), ("Destination/GetProfile", vec![profiles])])).await;
        let (view, driver) = view(&plane, 10);
        let discovered = with(driver, async { view.outbound(at("198.19.0.1:80")).wait_for(Option::is_some).await.unwrap().clone() }).await;
        let said = match &*discovered.unwrap() {
            Discovery::Policy(policy) => {
                assert!(matches!(policy.protocol, OutboundProtocol::Http2(_) | OutboundProtocol::Detect { .. }));
                format!("policy {}{}", policy.meta.name(), split_of(&policy.protocol))
            }
            Discovery::Endpoint { endpoint, opaque } => format!("endpoint {}{}", endpoint.addr, if *opaque { " opaque" } else { "" }),
            Discovery::Unknown => "unknown".into(),
        };
        assert_eq!(said, expected);
        let specs = plane.asked("OutboundPolicies/Watch");
        let expected_spec = TrafficSpec {
            source_workload: "web-0".into(),
            target: Some(wire_outbound::traffic_spec::Target::Addr(tcp_address(addr("198.19.0.1:80")))),
        };
        if let Some(spec) = specs.first() {
            assert_eq!(TrafficSpec::decode(spec.clone()).unwrap(), expected_spec);
        }
    }
}

/// Requirement: an inbound port has the configured default policy until the control plane answers; an answer that cannot be read
/// lets nobody in.
#[tokio::test]
async fn an_inbound_port_has_a_policy_from_the_start() {
    let kind = Some(wire_inbound::proxy_protocol::Kind::Opaque(Default::default()));
    let server = Server {
        protocol: Some(wire_inbound::ProxyProtocol { kind }),
        labels: [("kind", "server"), ("group", "policy.linkerd.io"), ("name", "web")].map(|(k, v)| (k.into(), v.into())).into(),
        ..Server::default()
    };
    let plane = Plane::start(HashMap::from([("WatchPort", vec![vec![say(&server), say(&Server::default()), Step::Silence]])])).await;
    let (view, driver) = view(&plane, 10);
    let mut port = view.inbound(8080);
    assert_eq!(port.borrow_and_update().server, Meta::default_named("all-authenticated"));
    with(driver, async {
        let closed = port.wait_for(|policy| policy.server.name() == "invalid").await.unwrap();
        assert!(closed.authorizations.is_empty());
    })
    .await;
    let spec = PortSpec::decode(plane.asked("WatchPort")[0].clone()).unwrap();
    assert_eq!((spec.workload.as_str(), spec.port), ("web-0", 8080));
}

/// Requirement: all who ask about a key share one watch; beyond the limit a key that nobody holds makes room, and when all are
/// held the new one is not asked about, reads as unknown, and is counted.
#[tokio::test]
async fn keys_are_shared_and_limited() {
    let plane = Plane::start(HashMap::from([
        ("OutboundPolicies/Watch", vec![vec![say(&policy("web")), Step::Silence]]),
        ("Destination/GetProfile", vec![vec![Step::End(5)]]),
    ]))
    .await;
    let (view, driver) = view(&plane, 1);
    with(driver, async {
        let mut first = view.outbound(at("10.0.0.1:80"));
        let mut again = view.clone().outbound(at("10.0.0.1:80"));
        first.wait_for(Option::is_some).await.unwrap();
        again.wait_for(Option::is_some).await.unwrap();
        assert_eq!(plane.asked("OutboundPolicies/Watch").len(), 1);

        let refused = view.outbound(at("10.0.0.2:80"));
        assert!(matches!(**refused.borrow().as_ref().unwrap(), Discovery::Unknown));
        let registry = Registry::new(Duration::ZERO);
        let sampled = view.clone();
        registry.collect(move |samples| sampled.sample(samples));
        let text = registry.render(Format::Text, clock::now());
        assert!(text.contains("control_view_refused_total{kind=\"outbound\"} 1\n"), "{text}");
        assert!(text.contains("control_view_keys{kind=\"outbound\"} 1\n"), "{text}");

        drop((first, again));
        let mut second = view.outbound(at("10.0.0.2:80"));
        let found = second.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        assert!(matches!(*found, Discovery::Policy(_)));
    })
    .await;
}

/// Requirement: a key that nobody holds is forgotten after its time, but not while the control plane is away; one that is held stays.
#[tokio::test]
async fn unused_keys_are_forgotten_only_while_they_can_be_asked_again() {
    let (table, mut starts) = Table::<u16, u8>::new("test", 10);
    let idle = Duration::from_secs(600);
    let now = tokio::time::Instant::now();
    let held = table.watch(1, || 0, || 0);
    drop(table.watch(2, || 0, || 0));
    drop(table.watch(3, || 0, || 0));
    for reachable in [true, true, false] {
        starts.recv().await.unwrap().run(|_, _, live| {
            live.set(reachable);
            std::future::pending()
        });
    }
    table.forget_unused(now, idle);
    assert_eq!(table.counts().keys, 3);
    table.forget_unused(now + idle, idle);
    assert_eq!(table.counts().keys, 2, "the one in use, and the one that cannot be asked about again");
    drop(held);
}
