//! New opaque connections, each for one byte there and one back; a few at a time, as fast as they come.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::Failure;
use crate::arguments::Arguments;
use crate::clock;
use crate::latency::Latencies;
use crate::tcp;

pub(crate) async fn run(arguments: &Arguments) -> Result<Value, Failure> {
    let latencies = Rc::new(RefCell::new(Latencies::default()));
    let failed = Rc::new(Cell::new(0));
    let began = clock::now();
    let end = (began + arguments.time).into();
    let mut tasks = JoinSet::new();
    for _ in 0..arguments.connections {
        let (address, latencies, failed) = (arguments.address, latencies.clone(), failed.clone());
        tasks.spawn_local(async move {
            let _ = timeout_at(end, again_and_again(address, &latencies, &failed)).await;
        });
    }
    tasks.join_all().await;
    let mut said = latencies.take().report(failed.get());
    said["seconds"] = (clock::now() - began).as_secs_f64().into();
    Ok(said)
}

async fn again_and_again(address: SocketAddr, latencies: &RefCell<Latencies>, failed: &Cell<usize>) {
    loop {
        let began = clock::now();
        match once(address).await {
            Ok(()) => latencies.borrow_mut().add(clock::now() - began),
            Err(_) => failed.set(failed.get() + 1),
        }
        // What fails at once must not keep the other connections from their turn.
        tokio::task::yield_now().await;
    }
}

/// The server closes first: the ports that wait after a close are then on its side, where they can be used again.
async fn once(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&[tcp::ECHO]).await?;
    let mut answer = Vec::with_capacity(8);
    stream.read_to_end(&mut answer).await?;
    if answer == [tcp::ECHO] { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
