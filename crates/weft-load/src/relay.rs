//! The bench's floor: carries bytes between two sockets and does nothing else, no TLS and no HTTP. What two of these cost is what any
//! pair of proxies cannot do without.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, spawn_local};

use crate::Failure;
use crate::arguments::Way;

/// Read at a time and written as one, as the proxies do.
const PIECE: usize = 64 << 10;

/// Runs until it is ended, or until no way can be listened on any more.
pub(crate) async fn run(ways: &[Way]) -> Result<Value, Failure> {
    let mut listening = JoinSet::new();
    for way in ways {
        let (listener, target) = (TcpListener::bind(way.listen).await?, way.target);
        listening.spawn_local(async move { accept(listener, target).await });
    }
    match listening.join_next().await {
        Some(ended) => Err(ended?.into()),
        None => Err("say at least one --way".into()),
    }
}

/// Returns why no more connections can be taken.
async fn accept(listener: TcpListener, target: SocketAddr) -> io::Error {
    loop {
        match listener.accept().await {
            Ok((client, _)) => drop(spawn_local(both_ways(client, target))),
            Err(problem) => return problem,
        }
    }
}

/// Either side's failure ends the connection, as it would without a relay.
async fn both_ways(client: TcpStream, target: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(one_way(from_client, to_server), one_way(from_server, to_client))?;
    Ok(())
}

async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece).await? {
            0 => return to.shutdown().await,
            more => to.write_all(&piece[..more]).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;

    /// Requirement: bytes go both ways and an end goes on alone, so that what was asked before it is still answered.
    #[tokio::test]
    async fn bytes_and_ends_go_through() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, target) = (relay.local_addr().unwrap(), server.local_addr().unwrap());
        let local = LocalSet::new();
        local.spawn_local(accept(relay, target));
        local
            .run_until(async move {
                let mut client = TcpStream::connect(address).await.unwrap();
                client.write_all(b"question").await.unwrap();
                client.shutdown().await.unwrap();
                let (mut taken, _) = server.accept().await.unwrap();
                let (mut asked, mut answered) = (Vec::new(), Vec::new());
                taken.read_to_end(&mut asked).await.unwrap();
                taken.write_all(b"answer").await.unwrap();
                drop(taken);
                client.read_to_end(&mut answered).await.unwrap();
                assert_eq!((asked.as_slice(), answered.as_slice()), (&b"question"[..], &b"answer"[..]));
            })
            .await;
    }
}
