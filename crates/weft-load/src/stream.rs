//! gRPC streams that stay open: each keeps a few messages unanswered, and sends one for each that comes back. Counts those.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use http::{Method, Request};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, spawn_local};
use tokio::time::timeout_at;

use crate::Failure;
use crate::arguments::Arguments;
use crate::clock;
use crate::grpc::{CONNECTION_WINDOW, MESSAGE, Messages, STREAM_WINDOW};

pub(crate) async fn run(arguments: &Arguments) -> Result<Value, Failure> {
    let mut connections = Vec::new();
    for _ in 0..arguments.connections {
        connections.push(open(arguments).await?);
    }
    let (answered, failed) = (Rc::new(Cell::new(0_u64)), Rc::new(Cell::new(0_u64)));
    let began = clock::now();
    let end = (began + arguments.time).into();
    let mut tasks = JoinSet::new();
    for connection in connections {
        for _ in 0..arguments.streams {
            let (arguments, connection, answered, failed) = (arguments.clone(), connection.clone(), answered.clone(), failed.clone());
            tasks.spawn_local(async move {
                // A stream is to last: whatever ends it before its time is a failure.
                if timeout_at(end, talk(&arguments, connection, &answered)).await.is_ok() {
                    failed.set(failed.get() + 1);
                }
            });
        }
    }
    tasks.join_all().await;
    let seconds = (clock::now() - began).as_secs_f64();
    Ok(json!({"requests": answered.get(), "failed": failed.get(), "seconds": seconds}))
}

async fn open(arguments: &Arguments) -> Result<SendRequest<Bytes>, Failure> {
    let stream = TcpStream::connect(arguments.address).await?;
    stream.set_nodelay(true)?;
    let mut builder = client::Builder::new();
    builder.initial_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
    let (connection, driver) = builder.handshake(stream).await?;
    spawn_local(driver);
    Ok(connection)
}

/// Until it is dropped; returns when the stream ended.
async fn talk(arguments: &Arguments, connection: SendRequest<Bytes>, answered: &Cell<u64>) -> Result<(), Failure> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{}{}", arguments.address, arguments.path))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let (answer, mut send) = connection.ready().await?.send_request(request, false)?;
    for _ in 0..arguments.window {
        send.send_data(MESSAGE, false)?;
    }
    let mut body = answer.await?.into_body();
    let mut messages = Messages::default();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        messages.add(&piece);
        for _ in messages.by_ref() {
            answered.set(answered.get() + 1);
            send.send_data(MESSAGE, false)?;
        }
    }
    Ok(())
}
