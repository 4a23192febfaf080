//! HTTP/1 connections that ask once and stay: says how many are open, holds them until its input ends, says how many were held.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Failure;
use crate::arguments::Arguments;
use crate::http1::Connection;

/// Connections that are opened at once: what is measured is their rest, not a burst.
const TOGETHER: usize = 16;

pub(crate) async fn run(arguments: &Arguments) -> Result<Value, Failure> {
    let streams = open(arguments).await?;
    println!("{}", json!({"open": streams.len()}));
    io::stdin().read_to_end(&mut Vec::new())?;
    tokio::task::yield_now().await;
    Ok(json!({"held": streams.iter().filter(|stream| is_open(stream)).count()}))
}

async fn open(arguments: &Arguments) -> Result<Vec<TcpStream>, Failure> {
    let left = Rc::new(Cell::new(arguments.connections));
    let mut tasks = JoinSet::new();
    for _ in 0..TOGETHER {
        let (arguments, left) = (arguments.clone(), left.clone());
        tasks.spawn_local(async move {
            let mut mine = Vec::new();
            while left.get() > 0 {
                left.set(left.get() - 1);
                let mut connection = Connection::open(&arguments).await?;
                connection.ask(&Cell::new(0)).await?;
                mine.push(connection.into_stream());
            }
            Ok::<_, io::Error>(mine)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        all.append(&mut done??);
    }
    Ok(all)
}

/// Nothing to read, not even an end.
fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}
