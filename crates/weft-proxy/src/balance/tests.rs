use std::collections::BTreeMap;

use tokio::sync::watch;
use weft_core::model::Endpoint;

use super::*;
use crate::account::Direction;
use crate::socket;

type Published = watch::Sender<Option<Arc<Endpoints>>>;

const QUEUE: Queue = Queue { capacity: 1, failfast: Duration::from_secs(60) };

fn balancer() -> (Published, Balancer) {
    let (publish, published) = watch::channel(None);
    let way = Way {
        most_idle: 1,
        windows: crate::http::h2::Windows::default(),
        direction: Direction::Outbound,
        options: socket::Options::default(),
        timeout: Duration::from_secs(1),
        idle: Duration::from_secs(1),
    };
    let load = PeakEwma { default_rtt: Duration::from_millis(30), decay: Duration::from_secs(10) };
    (publish, Balancer::new("web".into(), Live::new(published), load, way))
}

fn addr(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 80))
}

fn set(of: &[u8]) -> Option<Arc<Endpoints>> {
    let endpoints: BTreeMap<_, _> = of.iter().map(|last| (addr(*last), Arc::new(Endpoint::unmeshed(addr(*last))))).collect();
    Some(Arc::new(Endpoints { exists: true, endpoints }))
}

async fn picked(balancer: &Balancer, tried: &[SocketAddr], deadline: Instant) -> Result<Rc<Slot>, Refusal> {
    tokio::time::timeout(Duration::from_secs(20), balancer.pick(tried, QUEUE, deadline, &mut || 7)).await.expect("an answer in time")
}

fn soon() -> Instant {
    clock::now() + Duration::from_secs(60)
}

/// Requirement: an endpoint that stays in the set keeps its load and connections whatever comes and goes beside it; one that goes is not
/// picked any more.
#[tokio::test]
async fn updates_keep_what_is_known_of_an_endpoint() {
    let (publish, balancer) = balancer();
    publish.send_replace(set(&[1]));
    let first = picked(&balancer, &[], soon()).await.unwrap();
    let flight = balancer.begin(&first);
    publish.send_replace(set(&[1, 2]));
    let again = picked(&balancer, &[addr(2)], soon()).await.unwrap();
    assert!(Rc::ptr_eq(&first, &again));
    assert_eq!(again.load.borrow().pending(), 1);
    publish.send_replace(set(&[2]));
    assert_eq!(picked(&balancer, &[], soon()).await.unwrap().peer.endpoint.addr, addr(2));
    drop(flight);
    assert_eq!(first.load.borrow().pending(), 0);
}

/// Requirement: a request that waits takes the first endpoint that is published; one more than the queue holds is refused at once.
#[tokio::test]
async fn those_who_wait_are_woken_and_bounded() {
    let (publish, balancer) = balancer();
    assert!(!balancer.is_available());
    let waiting = picked(&balancer, &[], soon());
    let others = async {
        let refusal = picked(&balancer, &[], soon()).await.err().unwrap();
        assert_eq!(refusal.cause, Cause::LoadShed, "{refusal}");
        publish.send_replace(set(&[3]));
    };
    let (slot, ()) = tokio::join!(waiting, others);
    assert_eq!(slot.unwrap().peer.endpoint.addr, addr(3));
    assert!(balancer.is_available());
}

/// Requirement: a request whose time is up is refused with what is known of the destination.
#[tokio::test]
async fn the_refusal_says_what_is_known() {
    let (publish, balancer) = balancer();
    for (known, words) in [
        (None, "has not named the endpoints of web"),
        (Some(Arc::new(Endpoints { exists: false, endpoints: BTreeMap::new() })), "web does not exist"),
        (set(&[]), "no ready endpoint"),
    ] {
        publish.send_replace(known);
        let refusal = picked(&balancer, &[], clock::now()).await.err().unwrap();
        assert_eq!((refusal.cause, refusal.retry), (Cause::FailFast, Retry::Safe));
        assert!(refusal.reason.contains(words), "{refusal}");
    }
}

/// Requirement: an endpoint that takes no connection is left alone for a while, and is asked again after it even if it is the only one.
#[tokio::test]
async fn an_unreachable_endpoint_is_left_alone_for_a_while() {
    let settings = Settings::read(|name| crate::settings::tests::least().get(name).map(ToString::to_string)).unwrap();
    let (publish, balancer) = balancer();
    publish.send_replace(set(&[1, 2]));
    let first = picked(&balancer, &[addr(2)], soon()).await.unwrap();
    balancer.begin(&first).unreachable(&settings, 0);
    let since = clock::now();
    // Tried already, and still the only one that is ready.
    assert_eq!(picked(&balancer, &[addr(2)], soon()).await.unwrap().peer.endpoint.addr, addr(2));
    publish.send_replace(set(&[1]));
    assert!(!balancer.is_available() || clock::now() >= since + settings.outbound_backoff_min);
    let again = picked(&balancer, &[], soon()).await.unwrap();
    assert!(Rc::ptr_eq(&first, &again));
    assert!(first.not_before.get().is_some_and(|at| at <= clock::now()));
}
