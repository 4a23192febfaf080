//! Opaque bytes both ways at once, and what the answering side does with an opaque connection: its first byte says.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::Failure;
use crate::arguments::Arguments;
use crate::clock;

/// The byte comes back, then the end.
pub(crate) const ECHO: u8 = b'e';
/// Bytes both ways until the connection ends.
const BULK: u8 = b'b';
const PIECE: usize = 128 << 10;

pub(crate) async fn run(arguments: &Arguments) -> Result<Value, Failure> {
    let (sent, received) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let mut streams = Vec::new();
    for _ in 0..arguments.connections {
        let mut stream = TcpStream::connect(arguments.address).await?;
        stream.write_all(&[BULK]).await?;
        streams.push(stream);
    }
    let began = clock::now();
    let end = (began + arguments.time).into();
    let mut tasks = JoinSet::new();
    for stream in streams {
        let (sent, received) = (sent.clone(), received.clone());
        tasks.spawn_local(async move { timeout_at(end, both_ways(stream, &sent, &received)).await });
    }
    let early = tasks.join_all().await.into_iter().flatten().count();
    let seconds = (clock::now() - began).as_secs_f64();
    Ok(json!({"sent": sent.get(), "received": received.get(), "failed": early, "seconds": seconds}))
}

/// The answering side of one connection.
pub(crate) async fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match stream.read_u8().await? {
        BULK => both_ways(stream, &Cell::new(0), &Cell::new(0)).await,
        first => stream.write_all(&[first]).await,
    }
}

/// Until one of the ways ends or fails.
async fn both_ways(stream: TcpStream, sent: &Cell<u64>, received: &Cell<u64>) -> io::Result<()> {
    let (read, write) = stream.into_split();
    tokio::select! {
        ended = source(write, sent) => ended,
        ended = sink(read, received) => ended,
    }
}

async fn source(mut write: impl AsyncWrite + Unpin, sent: &Cell<u64>) -> io::Result<()> {
    let piece = vec![b'x'; PIECE];
    loop {
        sent.set(sent.get() + write.write(&piece).await? as u64);
    }
}

async fn sink(mut read: impl AsyncRead + Unpin, received: &Cell<u64>) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match read.read(&mut piece).await? {
            0 => return Ok(()),
            more => received.set(received.get() + more as u64),
        }
    }
}
