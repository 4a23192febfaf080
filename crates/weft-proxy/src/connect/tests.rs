use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::net::TcpListener;

use super::*;

/// The application at `asked`, which may be found at `other` as well.
fn application(asked: SocketAddr, other: SocketAddr) -> Peer {
    let way = Way {
        direction: Direction::Inbound,
        options: socket::Options::default(),
        timeout: Duration::from_secs(20),
        idle: Duration::from_secs(1),
        most_idle: 1,
        windows: h2::Windows::default(),
    };
    Peer::new(Arc::new(Endpoint::unmeshed(asked)), way).or_at(Some(other))
}

async fn reached(peer: &Peer) -> Result<SocketAddr, String> {
    peer.reach().await.map(|stream| stream.peer_addr().unwrap()).map_err(|refusal| refusal.reason.into_owned())
}

/// Requirement: an application that listens on one family is reached when it is asked for by the other, whichever it is, also after it
/// has changed its mind; when it is gone, the refusal names the address that was asked for.
#[tokio::test]
async fn an_application_is_found_at_its_other_address() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let four = listener.local_addr().unwrap();
    let six = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), four.port());
    let peer = application(six, four);
    assert_eq!(reached(&peer).await, Ok(four));
    assert!(peer.at_other.get());
    drop(listener);
    let refused = reached(&peer).await.unwrap_err();
    assert!(refused.starts_with(&format!("connecting to {six} failed: ")), "{refused}");
    let listener = TcpListener::bind(six).await.unwrap();
    assert_eq!(reached(&peer).await, Ok(six));
    assert!(!peer.at_other.get());
    assert_eq!(reached(&application(four, six)).await, Ok(six));
    drop(listener);
}
