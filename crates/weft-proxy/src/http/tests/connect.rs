//! CONNECT and extended CONNECT (RFC 8441) over HTTP/2: streams of bytes, both ways.

use ::h2::ext::Protocol;

use super::*;

fn websocket() -> http::request::Builder {
    Request::builder().method("CONNECT").uri("http://api.default/chat?room=1").extension(Protocol::from_static("websocket"))
}

/// Requirement: CONNECT on HTTP/2 is a stream of bytes both ways like any other body.
#[test]
fn connect_carries_bytes() {
    talk(async {
        let (connection, _ended) = through(echo).await;
        let (mut outgoing, mut pending) = ask(&connection, Request::connect("db:5432"), false).await;
        outgoing.data(bytes("ping")).await.expect("data");
        let (head, mut body) = answer(&mut pending).await.expect("answer");
        assert_eq!(head.status(), 200);
        outgoing.finish().await.expect("end");
        assert_eq!(read(&mut body).await.expect("body").0, b"ping");
    });
}

/// Requirement: extended CONNECT reaches the application with its protocol, path and authority, and carries bytes both ways.
#[test]
fn extended_connect_carries_a_websocket() {
    talk(async {
        let (connection, mut ended) = through(async |request: Request<()>, source: Source, sink: Sink| {
            assert_eq!(request.extensions().get::<Protocol>().map(Protocol::as_str), Some("websocket"));
            assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("CONNECT", "http://api.default/chat?room=1"));
            echo(request, source, sink).await;
        })
        .await;
        let (mut outgoing, mut pending) = ask(&connection, websocket(), false).await;
        let (head, mut body) = answer(&mut pending).await.expect("an answer before any bytes");
        assert_eq!(head.status(), 200);
        for said in ["one", "two"] {
            outgoing.data(bytes(said)).await.expect("data");
            assert!(matches!(body.frame().await, Ok(Some(Frame::Data(heard))) if heard == said));
        }
        outgoing.finish().await.expect("end");
        assert_eq!(read(&mut body).await.expect("end").0, b"");
        assert_eq!(ended.recv().await.expect("ended").expect("complete").status, 200);
    });
}

/// Requirement: either side of a CONNECT may end its bytes first; the other one's still arrive, to their end.
#[test]
fn a_server_that_ends_first_still_hears_the_client() {
    talk(async {
        let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
        let (connection, mut ended) = through(move |_: Request<()>, mut source: Source, sink: Sink| {
            let heard = heard.clone();
            async move {
                let outgoing = sink.respond(Response::new(()), false).await.expect("head");
                outgoing.last(bytes("bye")).await.expect("data");
                let _ = heard.send(read(&mut source).await.map(|(all, _)| all));
            }
        })
        .await;
        let (mut outgoing, mut pending) = ask(&connection, Request::connect("db:5432"), false).await;
        let (_, mut body) = answer(&mut pending).await.expect("answer");
        assert_eq!(read(&mut body).await.expect("the server's end").0, b"bye");
        outgoing.data(bytes("but ")).await.expect("data");
        outgoing.last(bytes("listen")).await.expect("data");
        assert_eq!(hears.recv().await.expect("heard").expect("whole"), b"but listen");
        assert_eq!(ended.recv().await.expect("ended").expect("complete").status, 200);
    });
}

/// Requirement: a CONNECT that is refused is over with its answer, whatever the client still sends.
#[test]
fn a_refused_connect_is_over() {
    talk(async {
        let (connection, mut ended) = through(async |_: Request<()>, _unread: Source, sink: Sink| {
            let mut response = Response::new(());
            *response.status_mut() = http::StatusCode::FORBIDDEN;
            sink.respond(response, true).await.expect("head");
        })
        .await;
        let (_open, mut pending) = ask(&connection, websocket(), false).await;
        assert_eq!(answer(&mut pending).await.expect("answer").0.status(), 403);
        assert_eq!(ended.recv().await.expect("ended").expect("complete").status, 403);
    });
}

/// Requirement: extended CONNECT to a server that does not announce that it takes it is answered 501, without a stream to that server.
#[test]
fn a_server_that_takes_no_protocols_is_not_asked() {
    talk(async {
        let (near, far) = sockets().await;
        spawn_local(async move {
            let mut raw: ::h2::server::Connection<_, Bytes> = ::h2::server::handshake(far).await.expect("handshake");
            assert!(raw.accept().await.is_none(), "a request has come");
        });
        let upstream = client::connect(Io::new(near), h2::Tuning::default()).await.expect("connection");
        let (ended, mut endings) = tokio::sync::mpsc::unbounded_channel();
        let (connection, _stop) = proxy(upstream, ended).await;
        let (_open, mut pending) = ask(&connection, websocket(), false).await;
        assert_eq!(answer(&mut pending).await.expect("answer").0.status(), 501);
        assert!(endings.recv().await.expect("ended").expect_err("refused").contains("does not take extended CONNECT"));
    });
}
