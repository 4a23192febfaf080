//! HTTP/1 clients and applications around HTTP/2 between proxies.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};

use super::*;
use crate::http::{h1, orig_proto};

/// Requirement: an HTTP/1 client's request travels as HTTP/2 and is HTTP/1 again, Host included, for the application; the answer, with
/// what came before it, goes back as HTTP/1.
#[test]
fn http1_travels_as_http2() {
    talk(async {
        let (upstream, _stop) = server(async |mut request: Request<()>, mut source: Source, mut sink: Sink| {
            let version = orig_proto::restore(&mut request).expect("restored");
            assert_eq!(version, Some(http::Version::HTTP_11));
            assert_eq!((request.uri().to_string().as_str(), &request.headers()["host"]), ("/a?b=c", &HeaderValue::from_static("api:80")));
            assert_eq!(read(&mut source).await.expect("body").0, b"hello");
            sink.informational(Response::builder().status(103).header("link", "x").body(()).expect("head")).await.expect("sent");
            let mut response = Response::new(());
            *response.version_mut() = http::Version::HTTP_11;
            orig_proto::carry_back(&mut response);
            sink.respond(response, false).await.expect("head").last(bytes("bye")).await.expect("body");
        })
        .await;
        let (mut near, far) = sockets().await;
        spawn_local(async move {
            let mut server = h1::server::Server::new(Io::new(far), Default::default(), h1::server::Timeouts::default());
            let Ok(Some(message)) = server.next().await else { panic!("no request") };
            let Message { mut request, source, sink } = *message;
            let asked = Asked::of(request.version(), request.headers());
            assert!(orig_proto::can_carry(&request));
            orig_proto::carry(&mut request).expect("carried");
            pass(request, source, sink, Upstream::H2(upstream), asked).await.expect("complete");
            assert!(server.next().await.is_ok_and(|next| next.is_none()));
        });
        near.write_all(
            b"POST /a?b=c HTTP/1.1\r\nHost: api:80\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        )
        .await
        .expect("written");
        let mut said = String::new();
        near.read_to_string(&mut said).await.expect("answer");
        let said = said.to_lowercase();
        assert!(said.starts_with("http/1.1 103") && said.contains("link: x\r\n"), "{said}");
        assert!(said.contains("http/1.1 200") && said.contains("bye"), "{said}");
    });
}

/// Requirement: a refusal is a whole response: the connection of an HTTP/1 client whose cause does not close it takes the next request.
#[test]
fn a_refusal_leaves_an_http1_connection_usable() {
    talk(async {
        let (mut near, far) = sockets().await;
        spawn_local(async move {
            let mut server = h1::server::Server::new(Io::new(far), Default::default(), h1::server::Timeouts::default());
            while let Ok(Some(message)) = server.next().await {
                let Message { request, sink, .. } = *message;
                let refusal = Refusal::new(Stage::Route, Blame::Client, Retry::Safe, Cause::NoRoute, "no route");
                let head = refuse::response(&refusal, Asked::of(request.version(), request.headers()), Party::Stranger);
                sink.respond(head, true).await.expect("sent");
            }
        });
        for connection in ["keep-alive", "close"] {
            let request = format!("GET / HTTP/1.1\r\nHost: api\r\nConnection: {connection}\r\n\r\n");
            near.write_all(request.as_bytes()).await.expect("written");
        }
        let mut said = String::new();
        near.read_to_string(&mut said).await.expect("answers");
        assert_eq!(said.matches("HTTP/1.1 404").count(), 2, "{said}");
    });
}

/// Requirement: an authority that contradicts Host, or none at all, is answered 400 and never seen by a handler.
#[test]
fn an_ambiguous_authority_is_refused() {
    talk(async {
        let (connection, _ended) = through(echo).await;
        let (_, mut pending) = ask(&connection, Request::get("http://api/").header("host", "other"), true).await;
        assert_eq!(answer(&mut pending).await.expect("answer").0.status(), 400);
        let (_, mut pending) = ask(&connection, Request::get("http://api/").header("host", "api"), true).await;
        assert_eq!(answer(&mut pending).await.expect("answer").0.status(), 200);
    });
}
