//! Both ends over real loopback sockets. The other end of each is bare bytes, so that nothing here is tested against itself,
//! except where a client and a server are chained.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weft_core::http1::Limits;

use super::server::{Ended, Server, Timeouts};
use super::{Outgoing, Sink, Source, client};
use crate::http::{self as any, Broken, Frame, Message, Reply};
use crate::io::Io;

/// Generous: reached only by a test that fails.
const DEADLINE: Duration = Duration::from_secs(20);

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, Box::pin(test)).await.expect("the test hangs") });
}

async fn pair() -> (TcpStream, Io) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
    (ours.unwrap(), Io::new(theirs.unwrap().0))
}

async fn server() -> (TcpStream, Server) {
    let (peer, io) = pair().await;
    (peer, Server::new(io, Limits::default(), Timeouts::default()))
}

async fn client() -> (TcpStream, client::Connection) {
    let (peer, io) = pair().await;
    (peer, client::Connection::new(io))
}

/// Reads exactly this text.
async fn expect(peer: &mut TcpStream, text: &str) {
    let mut found = vec![0; text.len()];
    let count = read_up_to(peer, &mut found).await;
    assert_eq!(String::from_utf8_lossy(&found[..count]), text);
}

async fn read_up_to(peer: &mut TcpStream, buf: &mut [u8]) -> usize {
    let mut count = 0;
    while count < buf.len() {
        match peer.read(&mut buf[count..]).await.unwrap() {
            0 => break,
            more => count += more,
        }
    }
    count
}

async fn rest(peer: &mut TcpStream) -> String {
    let mut found = Vec::new();
    peer.read_to_end(&mut found).await.unwrap();
    String::from_utf8_lossy(&found).into_owned()
}

async fn next(server: &mut Server) -> (Request<()>, Source, Sink) {
    let Message { request, source, sink } = *server.next().await.unwrap().expect("a request");
    let (any::Source::H1(source), any::Sink::H1(sink)) = (source, sink) else { panic!("another version") };
    (request, source, sink)
}

async fn collect(source: &mut Source) -> Result<(String, Option<HeaderMap>), Broken> {
    let (mut data, mut trailers) = (Vec::new(), None);
    while let Some(frame) = source.frame().await? {
        match frame {
            Frame::Data(piece) => data.extend_from_slice(&piece),
            Frame::Trailers(fields) => trailers = Some(fields),
        }
    }
    assert!(source.is_end());
    Ok((String::from_utf8(data).unwrap(), trailers))
}

fn response(status: u16, fields: &[(&'static str, &'static str)]) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = StatusCode::from_u16(status).unwrap();
    *head.headers_mut() = map(fields);
    head
}

fn request(method: Method, target: &str, fields: &[(&'static str, &'static str)]) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = method;
    *head.uri_mut() = target.parse().unwrap();
    *head.headers_mut() = map(fields);
    head
}

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

async fn answer(sink: Sink, text: &'static str) {
    let outgoing = sink.queue(response(200, &[("content-length", leak(text.len()))]), false).unwrap();
    outgoing.last(Bytes::from(text)).await.unwrap();
}

fn leak(number: usize) -> &'static str {
    Box::leak(number.to_string().into_boxed_str())
}

async fn send(client: &client::Connection, mut head: Request<()>, end: bool) -> (Outgoing, client::Pending) {
    client.clone().send(&mut head, end).await.expect("sent")
}

async fn get(client: &client::Connection, method: Method) -> client::Pending {
    let (outgoing, pending) = send(client, request(method, "/", &[("host", "a")]), true).await;
    outgoing.finish().await.unwrap();
    pending
}

async fn final_reply(pending: &mut client::Pending) -> (Response<()>, Source) {
    match pending.next().await.unwrap() {
        Reply::Final(head, any::Source::H1(source)) => (head, source),
        _ => panic!("not a final response"),
    }
}

// ---- the server's end

/// Requirement: a connection carries one exchange after another, and requests sent together are answered in order.
#[test]
fn requests_follow_one_another_and_may_be_pipelined() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let (head, source, sink) = next(&mut server).await;
        assert_eq!((head.uri().path(), source.is_end()), ("/1", true));
        answer(sink, "one").await;
        expect(&mut peer, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none").await;

        peer.write_all(b"POST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbodyGET /3 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let (head, mut source, sink) = next(&mut server).await;
        assert_eq!((head.uri().path(), source.is_end()), ("/2", false));
        assert_eq!(collect(&mut source).await.unwrap().0, "body");
        answer(sink, "two").await;
        let (head, _, sink) = next(&mut server).await;
        assert_eq!(head.uri().path(), "/3");
        answer(sink, "three").await;
        expect(&mut peer, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\ntwoHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nthree").await;

        drop(peer);
        assert!(server.next().await.unwrap().is_none());
    });
}

/// Requirement: chunks, extensions and trailers arrive; a response of unknown length leaves in chunks, with trailers.
#[test]
fn chunks_and_trailers_pass_through_the_server() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nsum: 5\r\n\r\n")
            .await
            .unwrap();
        let (head, mut source, sink) = next(&mut server).await;
        assert!(!head.headers().contains_key("transfer-encoding"));
        let (data, trailers) = collect(&mut source).await.unwrap();
        assert_eq!((data.as_str(), trailers), ("abcde", Some(map(&[("sum", "5")]))));

        let mut outgoing = sink.respond(response(200, &[]), false).await.unwrap();
        outgoing.data(Bytes::from_static(b"hello")).await.unwrap();
        outgoing.trailers(map(&[("grpc-status", "0")])).await.unwrap();
        expect(&mut peer, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\ngrpc-status: 0\r\n\r\n").await;
    });
}

/// Requirement: responses without a body have none: to HEAD (whose length is kept), 204 and 304.
#[test]
fn responses_without_a_body() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let (_, _, sink) = next(&mut server).await;
        sink.respond(response(200, &[("content-length", "9")]), true).await.unwrap().finish().await.unwrap();
        expect(&mut peer, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n").await;
        for (status, expected) in [(204, "HTTP/1.1 204 No Content\r\n\r\n"), (304, "HTTP/1.1 304 Not Modified\r\n\r\n")] {
            peer.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            let (_, _, sink) = next(&mut server).await;
            sink.respond(response(status, &[]), true).await.unwrap().finish().await.unwrap();
            expect(&mut peer, expected).await;
        }
        peer.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let (_, _, sink) = next(&mut server).await;
        sink.respond(response(500, &[]), true).await.unwrap().finish().await.unwrap();
        expect(&mut peer, "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n").await;
    });
}

/// Requirement: 1xx responses go out in front of the final one, 100 only when told, and none to an HTTP/1.0 client.
#[test]
fn informational_responses() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await.unwrap();
        let (head, mut source, mut sink) = next(&mut server).await;
        assert_eq!(head.headers()["expect"], "100-continue");
        sink.informational(response(103, &[("link", "x")])).await.unwrap();
        sink.informational(response(100, &[])).await.unwrap();
        expect(&mut peer, "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n").await;
        peer.write_all(b"ok").await.unwrap();
        assert_eq!(collect(&mut source).await.unwrap().0, "ok");
        answer(sink, "yes").await;
        expect(&mut peer, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes").await;

        peer.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let (_, _, mut sink) = next(&mut server).await;
        sink.informational(response(103, &[])).await.unwrap();
        answer(sink, "old").await;
        assert!(server.next().await.unwrap().is_none());
        assert_eq!(rest(&mut peer).await, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\nold");
    });
}

/// Requirement: a refused `expect: 100-continue` closes the connection, since the body may come or not.
#[test]
fn a_refused_expectation_closes() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await.unwrap();
        let (_, _, sink) = next(&mut server).await;
        sink.respond(response(417, &[]), true).await.unwrap().finish().await.unwrap();
        let (ended, text) = tokio::join!(server.next(), rest(&mut peer));
        assert!(ended.unwrap().is_none());
        assert_eq!(text, "HTTP/1.1 417 Expectation Failed\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    });
}

/// Requirement: HTTP/1.0 keeps a connection only when asked, and gets a body of unknown length as bytes up to the close.
#[test]
fn http_1_0() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").await.unwrap();
        let (_, _, sink) = next(&mut server).await;
        answer(sink, "one").await;
        expect(&mut peer, "HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\none").await;
        peer.write_all(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").await.unwrap();
        let (_, _, sink) = next(&mut server).await;
        let mut outgoing = sink.respond(response(200, &[]), false).await.unwrap();
        outgoing.data(Bytes::from_static(b"stream")).await.unwrap();
        outgoing.finish().await.unwrap();
        assert!(server.next().await.unwrap().is_none());
        assert_eq!(rest(&mut peer).await, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nstream");
    });
}

/// Requirement: a client that closes its side after the request still gets the response.
#[test]
fn a_client_that_half_closes_is_answered() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        peer.shutdown().await.unwrap();
        let (_, _, mut sink) = next(&mut server).await;
        // On loopback the FIN is there when `shutdown` returns; the reactor gets ample turns to report it.
        let turns = async {
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            _ = sink.closed() => panic!("a FIN was taken for the end"),
            () = turns => {}
        }
        answer(sink, "late").await;
        assert!(server.next().await.unwrap().is_none());
        assert_eq!(rest(&mut peer).await, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate");
    });
}

/// Requirement: a client that resets is noticed while its request is being handled.
#[test]
fn a_client_that_resets_is_noticed() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let (_, _, mut sink) = next(&mut server).await;
        Io::new(peer).abort();
        assert!(matches!(sink.closed().await, Broken::Io(_)));
    });
}

/// Requirement: after a response that came before the request body was read, the connection goes on if little is left, ...
#[test]
fn an_early_response_with_a_short_rest_keeps_the_connection() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab").await.unwrap();
        let (_, _, sink) = next(&mut server).await;
        answer(sink, "no").await;
        peer.write_all(b"cdeGET /2 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let (head, _, sink) = next(&mut server).await;
        assert_eq!(head.uri().path(), "/2");
        answer(sink, "yes").await;
        expect(&mut peer, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nnoHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes").await;
    });
}

/// Requirement: ... and closes otherwise, without a reset that would destroy the response.
#[test]
fn an_early_response_with_a_long_rest_closes() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n").await.unwrap();
        let (_, mut source, sink) = next(&mut server).await;
        answer(sink, "no").await;
        let (mut reader, mut writer) = peer.split();
        let body = vec![b'x'; 400_000];
        let upload = async {
            writer.write_all(&body).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let download = async {
            let mut text = String::new();
            reader.read_to_string(&mut text).await.unwrap();
            text
        };
        let (ended, (), text) = tokio::join!(server.next(), upload, download);
        assert!(ended.unwrap().is_none());
        assert_eq!(text, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno");
        assert!(source.frame().await.is_err());
    });
}

/// Requirement: a body cut short is broken, never a whole one.
#[test]
fn a_request_body_cut_short_is_broken() {
    run(async {
        for text in
            ["content-length: 5\r\n\r\nab", "transfer-encoding: chunked\r\n\r\n5\r\nab", "transfer-encoding: chunked\r\n\r\n2\r\nab\r\n"]
        {
            let (mut peer, mut server) = server().await;
            peer.write_all(format!("POST / HTTP/1.1\r\nhost: a\r\n{text}").as_bytes()).await.unwrap();
            peer.shutdown().await.unwrap();
            let (_, mut source, _sink) = next(&mut server).await;
            assert!(matches!(collect(&mut source).await, Err(Broken::Closed)), "{text:?}");
        }
    });
}

/// Requirement: a malformed chunk breaks the body with 400, after the data in front of it was given out.
#[test]
fn a_malformed_chunk_breaks_the_body() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0x1\r\n").await.unwrap();
        let (_, mut source, _sink) = next(&mut server).await;
        assert!(matches!(source.frame().await, Ok(Some(Frame::Data(data))) if data == "ab"));
        assert!(matches!(source.frame().await, Err(Broken::Malformed { status: 400, why: "odd chunk size" })));
    });
}

/// Requirement: trailers beyond a limit break the body with 431, as a head beyond it is refused.
#[test]
fn too_many_trailers_break_the_body() {
    run(async {
        let (mut peer, mut server) = server().await;
        let text = format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n{}\r\n", "x: y\r\n".repeat(200));
        peer.write_all(text.as_bytes()).await.unwrap();
        let (_, mut source, _sink) = next(&mut server).await;
        assert!(matches!(source.frame().await, Err(Broken::Malformed { status: 431, why: "too many fields" })));
    });
}

/// Requirement: a request that cannot be understood is answered with its status and the reason, and the connection closes.
#[test]
fn rejections_are_answered() {
    run(async {
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(40_000));
        let large = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", "y".repeat(70_000));
        let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}", "x: y\r\n".repeat(200));
        let table = [
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
                400,
            ),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            (long.as_str(), 414),
            (large.as_str(), 431),
            (many.as_str(), 431),
        ];
        for (text, status) in table {
            let (mut peer, mut server) = server().await;
            peer.write_all(text.as_bytes()).await.unwrap();
            let reading = async {
                let mut found = [0; 12];
                peer.read_exact(&mut found).await.unwrap();
                peer.shutdown().await.unwrap();
                (String::from_utf8_lossy(&found).into_owned(), rest(&mut peer).await)
            };
            let (ended, (line, rest)) = tokio::join!(server.next(), reading);
            let Err(Ended::Rejected(rejected)) = ended else { panic!("{text:?} was taken") };
            assert_eq!(line, format!("HTTP/1.1 {status}"));
            assert!(rest.contains("connection: close\r\n") && rest.ends_with(&format!("\r\n\r\n{}\n", rejected.reason)), "{rest}");
            assert!(server.next().await.unwrap().is_none());
        }
    });
}

/// Requirement: a head that does not come to its end in time is answered with 408.
#[test]
fn a_slow_head_is_answered_with_408() {
    run(async {
        let (mut peer, io) = pair().await;
        let timeouts = Timeouts { head: Duration::from_millis(20), ..Timeouts::default() };
        let mut server = Server::new(io, Limits::default(), timeouts);
        peer.write_all(b"GET / HT").await.unwrap();
        let (ended, text) = tokio::join!(server.next(), async {
            let mut line = [0; 12];
            peer.read_exact(&mut line).await.unwrap();
            drop(peer);
            String::from_utf8_lossy(&line).into_owned()
        });
        assert!(matches!(ended, Err(Ended::Rejected(_))));
        assert_eq!(text, "HTTP/1.1 408");
    });
}

/// Requirement: after 101 the connection is bare bytes, those that came with the request included.
#[test]
fn an_upgrade_hands_the_connection_over() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nearly").await.unwrap();
        let (head, _, sink) = next(&mut server).await;
        assert_eq!(head.headers()["upgrade"], "websocket");
        let mut io = sink.upgrade(response(101, &[("upgrade", "websocket")])).await.unwrap();
        let mut found = [0; 5];
        io.read_exact(&mut found).await.unwrap();
        assert_eq!(&found, b"early");
        io.write_all(b"bare").await.unwrap();
        expect(&mut peer, "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nbare").await;
        assert!(server.next().await.unwrap().is_none());
    });
}

/// Requirement: after a 2xx to CONNECT the connection is bare bytes; another answer is an ordinary one.
#[test]
fn connect_opens_a_tunnel_or_not() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n").await.unwrap();
        let (_, _, sink) = next(&mut server).await;
        sink.respond(response(403, &[]), true).await.unwrap().finish().await.unwrap();
        expect(&mut peer, "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
        peer.write_all(b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n").await.unwrap();
        let (_, _, sink) = next(&mut server).await;
        let mut io = sink.upgrade(response(200, &[])).await.unwrap();
        io.write_all(b"bare").await.unwrap();
        expect(&mut peer, "HTTP/1.1 200 OK\r\n\r\nbare").await;
    });
}

/// Requirement: an exchange given up inside the response does not look complete to the client.
#[test]
fn a_response_given_up_is_a_reset() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let (_, _, sink) = next(&mut server).await;
        let mut outgoing = sink.respond(response(200, &[]), false).await.unwrap();
        outgoing.data(Bytes::from_static(b"part")).await.unwrap();
        drop(outgoing);
        assert!(server.next().await.unwrap().is_none());
        let mut found = Vec::new();
        assert!(peer.read_to_end(&mut found).await.is_err(), "a body cut short ended cleanly");
    });
}

/// Requirement: the same when the connection is dropped inside an exchange, as at the end of a drain.
#[test]
fn a_connection_dropped_inside_a_response_is_a_reset() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let (_, _, sink) = next(&mut server).await;
        let mut outgoing = sink.respond(response(200, &[]), false).await.unwrap();
        outgoing.data(Bytes::from_static(b"part")).await.unwrap();
        drop((server, outgoing));
        let mut found = Vec::new();
        assert!(peer.read_to_end(&mut found).await.is_err(), "a body cut short ended cleanly");
    });
}

/// Requirement: a body is held to its content-length.
#[test]
fn a_body_is_held_to_its_length() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let (_, _, sink) = next(&mut server).await;
        let mut outgoing = sink.queue(response(200, &[("content-length", "3")]), false).unwrap();
        assert!(outgoing.data(Bytes::from_static(b"four")).await.is_err());
        outgoing.data(Bytes::from_static(b"ab")).await.unwrap();
        assert!(outgoing.finish().await.is_err());
    });
}

/// Requirement: an answer of the proxy's own is complete with its head, and may close the connection.
#[test]
fn an_answer_without_a_body_is_complete_with_its_head() {
    run(async {
        let (mut peer, mut server) = server().await;
        for (fields, expected) in [
            (&[][..], "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"),
            (&[("connection", "close")][..], "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
        ] {
            peer.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            let (_, _, sink) = next(&mut server).await;
            drop(sink.respond(response(503, fields), true).await.unwrap());
            expect(&mut peer, expected).await;
        }
        assert!(server.next().await.unwrap().is_none());
        assert_eq!(rest(&mut peer).await, "");
    });
}

/// Requirement: after a malformed trailer nothing of what follows is taken for a request.
#[test]
fn a_malformed_body_ends_the_connection() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx\r\n\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
        )
        .await
        .unwrap();
        let (_, mut source, sink) = next(&mut server).await;
        assert!(matches!(source.frame().await, Err(Broken::Malformed { status: 400, .. })));
        drop(sink.respond(response(400, &[]), true).await.unwrap());
        let reading = async {
            let expected = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            expect(&mut peer, expected).await;
            peer.shutdown().await.unwrap();
            rest(&mut peer).await
        };
        let (ended, rest) = tokio::join!(server.next(), reading);
        assert!(ended.unwrap().is_none());
        assert_eq!(rest, "");
    });
}

/// Requirement: winding down ends the connection after the response, and says so in it.
#[test]
fn winding_down_closes_after_the_response() {
    run(async {
        let (mut peer, mut server) = server().await;
        peer.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let (_, _, sink) = next(&mut server).await;
        server.wind_down();
        answer(sink, "bye").await;
        assert!(server.next().await.unwrap().is_none());
        assert_eq!(rest(&mut peer).await, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbye");
    });
}

// ---- the client's end

/// Requirement: a connection can be used again exactly when the exchange before is over in both directions.
#[test]
fn a_connection_is_used_again() {
    run(async {
        let (mut peer, client) = client().await;
        assert!(client.is_reusable());
        let mut pending = get(&client, Method::GET).await;
        assert!(!client.is_reusable());
        expect(&mut peer, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none").await.unwrap();
        let (_, mut source) = final_reply(&mut pending).await;
        assert!(!client.is_reusable());
        assert_eq!(collect(&mut source).await.unwrap().0, "one");
        assert!(client.is_reusable());

        let head = request(Method::POST, "/", &[("host", "a")]);
        let (mut outgoing, mut pending) = send(&client, head, false).await;
        outgoing.data(Bytes::from_static(b"abc")).await.unwrap();
        peer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        let (_, source) = final_reply(&mut pending).await;
        assert!(source.is_end() && !client.is_reusable());
        outgoing.trailers(map(&[("x", "y")])).await.unwrap();
        assert!(client.is_reusable());
        expect(&mut peer, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n").await;
    });
}

/// Requirement: a connection that the server closed, spoke on unasked, or wants closed is not used again; the request comes back unsent.
#[test]
fn a_connection_that_is_of_no_more_use() {
    run(async {
        for text in ["", "HTTP/1.1 408 Request Timeout\r\n\r\n"] {
            let (mut peer, client) = client().await;
            peer.write_all(text.as_bytes()).await.unwrap();
            drop(peer);
            while client.is_reusable() {
                tokio::task::yield_now().await;
            }
            let mut kept = request(Method::GET, "/kept", &[]);
            assert!(client.send(&mut kept, true).await.is_err(), "sent");
            assert_eq!(kept.uri().path(), "/kept");
        }
        for text in [
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nextra",
        ] {
            let (mut peer, client) = client().await;
            let mut pending = get(&client, Method::GET).await;
            peer.write_all(text.as_bytes()).await.unwrap();
            let (head, _) = final_reply(&mut pending).await;
            assert!(!head.headers().contains_key("connection"));
            assert!(!client.is_reusable(), "{text:?}");
        }
    });
}

/// Requirement: bodies end where their framing says: chunks with trailers, none to HEAD, up to the close.
#[test]
fn response_bodies() {
    run(async {
        let table = [
            (Method::GET, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nt: 1\r\n\r\n", "abc", true),
            (Method::HEAD, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "", false),
            (Method::GET, "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", "", false),
        ];
        for (method, text, data, trailers) in table {
            let (mut peer, client) = client().await;
            let mut pending = get(&client, method).await;
            peer.write_all(text.as_bytes()).await.unwrap();
            let (_, mut source) = final_reply(&mut pending).await;
            let (found, fields) = collect(&mut source).await.unwrap();
            assert_eq!((found.as_str(), fields.is_some()), (data, trailers), "{text:?}");
            assert!(client.is_reusable());
        }
        let (mut peer, client) = client().await;
        let mut pending = get(&client, Method::GET).await;
        expect(&mut peer, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        peer.write_all(b"HTTP/1.0 200 OK\r\n\r\nall of it").await.unwrap();
        drop(peer);
        let (_, mut source) = final_reply(&mut pending).await;
        assert_eq!(collect(&mut source).await.unwrap().0, "all of it");
        assert!(!client.is_reusable());
    });
}

/// Requirement: 1xx responses are given out one by one, then the final one.
#[test]
fn informational_replies() {
    run(async {
        let (mut peer, client) = client().await;
        let mut pending = get(&client, Method::GET).await;
        peer.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
        for status in [103, 100] {
            assert!(matches!(pending.next().await.unwrap(), Reply::Informational(head) if head.status() == status));
        }
        assert_eq!(final_reply(&mut pending).await.0.status(), 200);
    });
}

/// Requirement: a response may come before the request body is sent, also from a server that then closes.
#[test]
fn an_early_reply_is_read() {
    run(async {
        let (mut peer, client) = client().await;
        let head = request(Method::POST, "/", &[("host", "a"), ("content-length", "5")]);
        let (outgoing, mut pending) = send(&client, head, false).await;
        let (reply, ()) = tokio::join!(final_reply(&mut pending), async {
            expect(&mut peer, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n").await;
            peer.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        });
        assert_eq!(reply.0.status(), 413);
        drop(outgoing);
        assert!(!client.is_reusable());
    });
}

/// Requirement: what is not a whole response is broken: a close before or inside it, and a malformed one.
#[test]
fn broken_replies() {
    run(async {
        for text in [
            "",
            "HTTP/1.1 20",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n",
        ] {
            let (mut peer, client) = client().await;
            let mut pending = get(&client, Method::GET).await;
            expect(&mut peer, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            peer.write_all(text.as_bytes()).await.unwrap();
            drop(peer);
            let broken = match pending.next().await {
                Err(broken) => broken,
                Ok(Reply::Final(_, any::Source::H1(mut source))) => collect(&mut source).await.unwrap_err(),
                Ok(_) => panic!("{text:?} was taken"),
            };
            assert!(matches!(broken, Broken::Closed), "{text:?}: {broken:?}");
        }
        let (mut peer, client) = client().await;
        let mut pending = get(&client, Method::GET).await;
        peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na").await.unwrap();
        assert!(matches!(pending.next().await, Err(Broken::Malformed { status: 502, why: "repeated content-length" })));
    });
}

/// Requirement: an upgrade that was asked for hands the connection over with what came behind it; one that was not is broken.
#[test]
fn upgrades_and_tunnels_of_the_client() {
    run(async {
        let upgrade = || request(Method::GET, "/", &[("host", "a"), ("upgrade", "websocket")]);
        let connect = || request(Method::CONNECT, "a:1", &[("host", "a:1")]);
        let table = [
            (
                upgrade(),
                "GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nbare",
            ),
            (connect(), "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nbare"),
        ];
        for (head, sent, answer) in table {
            let (mut peer, client) = client().await;
            let (outgoing, mut pending) = send(&client, head, true).await;
            outgoing.finish().await.unwrap();
            expect(&mut peer, sent).await;
            peer.write_all(answer.as_bytes()).await.unwrap();
            let Ok(Reply::Upgraded(_, mut io)) = pending.next().await else { panic!("not upgraded") };
            let mut found = [0; 4];
            io.read_exact(&mut found).await.unwrap();
            assert_eq!(&found, b"bare");
            assert!(!client.is_reusable());
        }
        let (mut peer, client) = client().await;
        let mut pending = get(&client, Method::GET).await;
        peer.write_all(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n").await.unwrap();
        assert!(matches!(pending.next().await, Err(Broken::Malformed { .. })));
    });
}

/// Requirement: a request that came by HTTP/2 gets a host, the origin form and, where its method has a body, a length.
#[test]
fn a_request_from_http_2_is_put_into_http_1() {
    run(async {
        let (mut peer, client) = client().await;
        let mut head = request(Method::POST, "http://svc:80/path?q", &[("te", "trailers")]);
        *head.version_mut() = http::Version::HTTP_2;
        let (outgoing, _pending) = send(&client, head, true).await;
        outgoing.finish().await.unwrap();
        expect(&mut peer, "POST /path?q HTTP/1.1\r\nte: trailers\r\nconnection: te\r\nhost: svc:80\r\ncontent-length: 0\r\n\r\n").await;
    });
}

// ---- both

/// Requirement: a small piece of a large body does not keep a large buffer, for very many of them may wait for a slow receiver.
#[test]
fn a_small_piece_keeps_no_large_buffer() {
    run(async {
        for (framing, piece) in [("content-length: 9000000", "few"), ("transfer-encoding: chunked", "900\r\nfew")] {
            let (mut peer, mut server) = server().await;
            peer.write_all(format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n").as_bytes()).await.unwrap();
            let (_, mut source, sink) = next(&mut server).await;
            peer.write_all(piece.as_bytes()).await.unwrap();
            let Some(Frame::Data(data)) = source.frame().await.unwrap() else { panic!("a piece of data") };
            assert_eq!(data, "few");
            drop((source, sink, server));
            let kept = data.try_into_mut().expect("nothing else keeps it").capacity();
            assert!(kept < 100, "{kept} bytes for three");
        }
    });
}

/// Requirement: a large body in each direction at once, through a server and a client chained in one task, arrives byte for byte.
#[test]
fn bodies_stream_in_both_directions_at_once() {
    const SIZE: usize = 3_000_000;
    run(async {
        let (mut user, mut server) = server().await;
        let (mut app, client) = client().await;
        let body: Vec<u8> = (0..SIZE).map(|index| (index % 251) as u8).collect();

        let relay = async {
            let (head, mut source, sink) = next(&mut server).await;
            let (mut upload, mut pending) = send(&client, head, false).await;
            let (head, mut reply) = final_reply(&mut pending).await;
            let mut download = sink.queue(head, false).unwrap();
            let up = async {
                while let Some(Frame::Data(data)) = source.frame().await.unwrap() {
                    upload.data(data).await.unwrap();
                }
                upload.finish().await.unwrap();
            };
            let down = async {
                while let Some(Frame::Data(data)) = reply.frame().await.unwrap() {
                    download.data(data).await.unwrap();
                }
                download.finish().await.unwrap();
            };
            tokio::join!(up, down);
            assert!(client.is_reusable());
        };
        // The application echoes each byte as it comes, with the length known beforehand.
        let echo = async {
            let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {SIZE}\r\n\r\n");
            expect(&mut app, &head).await;
            app.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n").as_bytes()).await.unwrap();
            let mut left = SIZE;
            let mut buf = vec![0; 10_000];
            while left > 0 {
                let count = app.read(&mut buf).await.unwrap();
                app.write_all(&buf[..count]).await.unwrap();
                left -= count;
            }
        };
        let talk = async {
            let (mut reader, mut writer) = user.split();
            let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {SIZE}\r\n\r\n");
            let write = async {
                writer.write_all(head.as_bytes()).await.unwrap();
                writer.write_all(&body).await.unwrap();
            };
            let read = async {
                let expected = format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n");
                let mut found = vec![0; expected.len() + SIZE];
                reader.read_exact(&mut found).await.unwrap();
                assert!(found.starts_with(expected.as_bytes()) && found[expected.len()..] == body);
            };
            tokio::join!(write, read);
        };
        tokio::join!(Box::pin(relay), Box::pin(echo), Box::pin(talk));
    });
}
