//! The answering side: echoes gRPC messages on plaintext HTTP/2, and does with an opaque connection what its first byte asks for.
//! Says where it listens, then runs until it is ended.

use std::future::pending;
use std::net::Ipv4Addr;

use bytes::Bytes;
use h2::server::{self, SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use crate::Failure;
use crate::grpc::{CONNECTION_WINDOW, Messages, STREAM_WINDOW};
use crate::tcp;

pub(crate) async fn run(grpc: u16, opaque: u16) -> Result<Value, Failure> {
    let grpc = TcpListener::bind((Ipv4Addr::UNSPECIFIED, grpc)).await?;
    let opaque = TcpListener::bind((Ipv4Addr::UNSPECIFIED, opaque)).await?;
    println!("{}", json!({"grpc": grpc.local_addr()?.port(), "tcp": opaque.local_addr()?.port()}));
    spawn_local(async move {
        while let Ok((stream, _)) = opaque.accept().await {
            spawn_local(tcp::answer(stream));
        }
    });
    while let Ok((stream, _)) = grpc.accept().await {
        spawn_local(async move { serve(stream).await.map_err(|problem| problem.to_string()) });
    }
    pending().await
}

async fn serve(stream: TcpStream) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let mut builder = server::Builder::new();
    builder.initial_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW).max_concurrent_streams(10_000);
    let mut connection = builder.handshake(stream).await?;
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        spawn_local(async move { echo(request, respond).await.map_err(|problem| problem.to_string()) });
    }
    Ok(())
}

/// Each message goes back in a frame of its own, as gRPC servers send them.
async fn echo(request: Request<h2::RecvStream>, mut respond: SendResponse<Bytes>) -> Result<(), Failure> {
    let mut body = request.into_body();
    let head = Response::builder().header("content-type", "application/grpc").body(())?;
    let mut send = respond.send_response(head, false)?;
    let mut messages = Messages::default();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        messages.add(&piece);
        for message in messages.by_ref() {
            send.send_data(message, false)?;
        }
    }
    Ok(send.send_trailers(HeaderMap::from_iter([("grpc-status".parse()?, HeaderValue::from_static("0"))]))?)
}
