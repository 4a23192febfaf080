//! How exchanges end before their time, on either side, and what the other side is told.

use ::h2::Reason;

use super::*;

/// Requirement: a client's reset reaches the application with the same code, before and after the request is complete.
#[test]
fn a_clients_reset_reaches_the_application_with_its_code() {
    for complete in [false, true] {
        talk(async move {
            let (saw, mut seen) = tokio::sync::mpsc::unbounded_channel();
            let (connection, mut ended) = through(move |_: Request<()>, _: Source, mut sink: Sink| {
                let saw = saw.clone();
                async move {
                    let _ = saw.send(None);
                    let _ = saw.send(Some(sink.closed().await.code()));
                }
            })
            .await;
            let (outgoing, pending) = ask(&connection, post(), complete).await;
            assert_eq!(seen.recv().await, Some(None), "the request has arrived");
            outgoing.abort(&Broken::Reset(Reason::ENHANCE_YOUR_CALM));
            drop(pending);
            assert_eq!(seen.recv().await, Some(Some(Reason::ENHANCE_YOUR_CALM)), "complete: {complete}");
            assert!(ended.recv().await.expect("ended").expect_err("failed").starts_with("client gone"));
        });
    }
}

/// Requirement: nobody has to say anything: an exchange whose client half is dropped is cancelled at the application.
#[test]
fn a_dropped_request_is_cancelled() {
    talk(async {
        let (saw, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let (connection, _ended) = through(move |_: Request<()>, _: Source, sink: Sink| {
            let saw = saw.clone();
            async move {
                let mut outgoing = sink.respond(Response::new(()), false).await.expect("head");
                let _ = saw.send(outgoing.closed().await.code());
            }
        })
        .await;
        let (outgoing, mut pending) = ask(&connection, Request::get("http://api/"), true).await;
        let (_, body) = answer(&mut pending).await.expect("answer");
        assert_eq!(connection.streams(), 1);
        drop((outgoing, pending, body));
        assert_eq!(connection.streams(), 0);
        assert_eq!(seen.recv().await, Some(Reason::CANCEL));
    });
}

/// Requirement: an application's reset reaches an HTTP/2 client with the same code, before and inside the body.
#[test]
fn an_applications_reset_reaches_the_client_with_its_code() {
    talk(async {
        let (connection, mut ended) = through(async |request: Request<()>, _: Source, sink: Sink| {
            let why = Broken::Reset(Reason::INTERNAL_ERROR);
            if request.uri().path() == "/before" {
                return sink.abort(&why);
            }
            let mut outgoing = sink.respond(Response::new(()), false).await.expect("head");
            outgoing.data(bytes("part")).await.expect("data");
            outgoing.abort(&why);
        })
        .await;
        let (_, mut pending) = ask(&connection, Request::get("http://api/before"), true).await;
        assert!(matches!(answer(&mut pending).await, Err(Broken::Reset(Reason::INTERNAL_ERROR))));
        assert!(ended.recv().await.expect("ended").expect_err("failed").starts_with("broken off"));
        let (_, mut pending) = ask(&connection, Request::get("http://api/inside"), true).await;
        let broken = match answer(&mut pending).await {
            Ok((_, mut body)) => read(&mut body).await.map(|_| ()),
            Err(why) => Err(why),
        };
        assert!(matches!(broken, Err(Broken::Reset(Reason::INTERNAL_ERROR))), "{broken:?}");
        assert!(ended.recv().await.expect("ended").expect_err("failed").starts_with("broken off"));
    });
}

/// Requirement (a defect once: the head was lost, and an HTTP/1 client behind another proxy saw 502): an application that resets its answer
/// right behind the head has answered; the client sees the head, and then the break.
#[test]
fn a_reset_does_not_overtake_the_head() {
    for code in [Reason::INTERNAL_ERROR, Reason::CANCEL] {
        talk(async move {
            let (connection, mut ended) = through(move |_: Request<()>, _: Source, sink: Sink| async move {
                let outgoing = sink.respond(Response::builder().status(201).body(()).expect("head"), false).await.expect("head");
                outgoing.break_off(&Broken::Reset(code)).await;
            })
            .await;
            for _ in 0..100 {
                let (_, mut pending) = ask(&connection, Request::get("http://api/"), true).await;
                let (head, mut body) = answer(&mut pending).await.expect("head");
                assert_eq!(head.status(), 201);
                let broken = read(&mut body).await;
                assert!(matches!(broken, Err(Broken::Reset(found)) if found == code), "{broken:?}");
                assert!(ended.recv().await.expect("ended").expect_err("failed").starts_with("broken off"));
            }
        });
    }
}

/// Requirement: a server that stops finishes what it has and takes nothing new; the request it did not take comes back unsent and whole.
#[test]
fn a_stopping_server_loses_no_request() {
    talk(async {
        let (mut connection, stop) = server(echo).await;
        let (outgoing, mut pending) = ask(&connection, post(), false).await;
        let (_, mut body) = answer(&mut pending).await.expect("answer");
        stop.send(true).expect("server");
        while connection.is_open() {
            tokio::task::yield_now().await;
        }
        let mut request = Request::get("http://api/second").body(()).expect("request");
        assert!(connection.clone().send(&mut request, Head::Taken, true).await.is_err(), "sent after GOAWAY");
        assert_eq!(request.uri(), "http://api/second");
        outgoing.last(bytes("finished")).await.expect("data");
        assert_eq!(read(&mut body).await.expect("body").0, b"finished");
    });
}

/// Requirement: a request that a server refuses before acting on it is known as safe to send again, and is still whole if it
/// has no body; a client that is told of it sees 502.
#[test]
fn a_refused_stream_is_safe_to_retry() {
    talk(async {
        let (upstream, _stop) = server(async |_: Request<()>, _: Source, sink: Sink| sink.abort(&Broken::Refused)).await;
        let (ended, mut endings) = tokio::sync::mpsc::unbounded_channel();
        let (connection, _stop_proxy) = proxy(upstream, ended).await;
        let (_, mut pending) = ask(&connection, Request::get("http://api/"), true).await;
        let (head, _) = answer(&mut pending).await.expect("answer");
        assert_eq!(head.status(), 502);
        let said = endings.recv().await.expect("ended").expect_err("failed");
        assert!(said.starts_with("refused Safe") && said.ends_with("request whole"), "{said}");

        let (mut body, mut pending) = ask(&connection, Request::post("http://api/"), false).await;
        let _ = body.data(bytes("part")).await;
        assert_eq!(answer(&mut pending).await.expect("answer").0.status(), 502);
        let said = endings.recv().await.expect("ended").expect_err("failed");
        assert!(!said.ends_with("request whole"), "a body is not kept: {said}");
    });
}

/// Requirement: a server that goes away before it answers is a 502, for gRPC status 14 in HTTP 200; inside a gRPC answer it is trailers
/// with status 14, inside any other a reset.
#[test]
fn a_lost_server_is_told_in_the_clients_words() {
    for (inside, grpc) in [(false, false), (false, true), (true, false), (true, true)] {
        talk(async move {
            let (near, far) = sockets().await;
            let (go, gone) = tokio::sync::oneshot::channel::<()>();
            spawn_local(async move {
                let mut raw = ::h2::server::handshake(far).await.expect("handshake");
                let (request, mut respond) = raw.accept().await.expect("request").expect("request");
                let mut response = Response::new(());
                if let Some(kind) = request.headers().get("content-type") {
                    response.headers_mut().insert("content-type", kind.clone());
                }
                if inside {
                    let mut send = respond.send_response(response, false).expect("head");
                    send.send_data(bytes("part"), false).expect("data");
                    // Drives the connection until the client has seen the part.
                    tokio::select! {
                        _ = raw.accept() => panic!("one request only"),
                        _ = gone => {}
                    }
                }
            });
            let upstream = client::connect(Io::new(near), h2::Tuning::default()).await.expect("connection");
            let (ended, mut endings) = tokio::sync::mpsc::unbounded_channel();
            let (connection, _stop) = proxy(upstream, ended).await;
            let kind = if grpc { "application/grpc+proto" } else { "text/plain" };
            let (_, mut pending) = ask(&connection, post().header("content-type", kind), true).await;
            let (head, mut body) = answer(&mut pending).await.expect("answer");
            if inside {
                assert!(matches!(body.frame().await, Ok(Some(Frame::Data(part))) if part == "part"));
                go.send(()).expect("server");
            }
            match (inside, grpc) {
                (false, false) => {
                    assert_eq!((head.status().as_u16(), &head.headers()["content-length"]), (502, &"0".parse().expect("value")))
                }
                (false, true) => {
                    assert_eq!((head.status().as_u16(), &head.headers()[refuse::GRPC_STATUS]), (200, &"14".parse().expect("value")))
                }
                (true, true) => assert_eq!(read(&mut body).await.expect("body").1[refuse::GRPC_STATUS], "14"),
                (true, false) => assert!(matches!(read(&mut body).await, Err(Broken::Reset(_)))),
            }
            assert!(endings.recv().await.expect("ended").is_err());
        });
    }
}

/// A server of HTTP/2 that answers one request and closes, without a word, when another has come.
async fn ends_after_one() -> Connection {
    let (near, far) = sockets().await;
    spawn_local(async move {
        let mut raw = ::h2::server::handshake(far).await.expect("handshake");
        let (_, mut respond) = raw.accept().await.expect("request").expect("request");
        respond.send_response(Response::new(()), true).expect("answer");
        let _ = raw.accept().await;
    });
    client::connect(Io::new(near), h2::Tuning::default()).await.expect("connection")
}

/// Requirement (a defect once: 502 and no second attempt): a kept connection that is lost before an answer is told apart from a server that
/// breaks off, as in HTTP/1; on the first request of a connection it is not.
#[test]
fn a_kept_connection_that_is_lost_is_told_apart() {
    talk(async {
        let connection = ends_after_one().await;
        let (_, mut pending) = ask(&connection, Request::get("http://api/one"), true).await;
        assert_eq!(answer(&mut pending).await.expect("answer").0.status(), 200);
        let (_, mut pending) = ask(&connection, Request::get("http://api/two"), true).await;
        let lost = answer(&mut pending).await.map(|_| ());
        assert!(matches!(lost, Err(Broken::Stale { sent: true })), "{lost:?}");

        let (near, far) = sockets().await;
        spawn_local(async move {
            let mut raw = ::h2::server::handshake(far).await.expect("handshake");
            let _ = raw.accept().await;
        });
        let connection = client::connect(Io::new(near), h2::Tuning::default()).await.expect("connection");
        let (_, mut pending) = ask(&connection, Request::get("http://api/one"), true).await;
        let lost = answer(&mut pending).await.map(|_| ());
        assert!(matches!(lost, Err(Broken::Closed | Broken::Io(_))), "{lost:?}");
    });
}

/// Requirement: a request of which nothing had left when its connection was lost is known as such, whatever its method.
#[test]
fn a_request_that_never_left_is_known() {
    talk(async {
        let (near, mut far) = sockets().await;
        let connection = client::connect(Io::new(near), h2::Tuning::default()).await.expect("connection");
        // The preface and the settings, and that the client has had its turn.
        let mut preface = [0; 24];
        tokio::io::AsyncReadExt::read_exact(&mut far, &mut preface).await.expect("preface");
        far.set_zero_linger().expect("linger");
        drop(far);
        let (_, mut pending) = ask(&connection, post(), true).await;
        let lost = answer(&mut pending).await.map(|_| ());
        assert!(matches!(lost, Err(Broken::Stale { sent: false })), "{lost:?}");
    });
}

/// Requirement: what a server refuses and what a connection that is about to end did not carry any more are told apart.
#[test]
fn a_refusal_is_no_goodbye() {
    talk(async {
        let (connection, _stop) = server(async |_: Request<()>, _: Source, sink: Sink| sink.abort(&Broken::Refused)).await;
        let (_, mut pending) = ask(&connection, Request::get("http://api/"), true).await;
        assert!(matches!(answer(&mut pending).await.map(|_| ()), Err(Broken::Refused)));

        let (near, mut far) = sockets().await;
        let connection = client::connect(Io::new(near), h2::Tuning::default()).await.expect("connection");
        let (_, mut pending) = ask(&connection, Request::get("http://api/"), true).await;
        // Settings, and a GOAWAY that names no stream.
        tokio::io::AsyncWriteExt::write_all(&mut far, b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0")
            .await
            .expect("written");
        let left = answer(&mut pending).await.map(|_| ());
        assert!(matches!(left, Err(Broken::Leaving)), "{left:?}");
    });
}

/// Requirement: a peer that answers no pings is given up, and requests on its connection fail.
#[test]
fn a_silent_peer_is_given_up() {
    talk(async {
        let (near, _far) = sockets().await;
        let quick = h2::KeepAlive { interval: Duration::from_millis(20), timeout: Duration::from_millis(20) };
        let mut connection =
            client::connect(Io::new(near), h2::Tuning { keep_alive: Some(quick), ..h2::Tuning::default() }).await.expect("connection");
        let (_, mut pending) = ask(&connection, Request::get("http://api/"), true).await;
        assert!(answer(&mut pending).await.is_err());
        assert!(!connection.is_open());
    });
}

/// Requirement: requests beyond the server's limit wait, but not without bound: one too many comes back unsent.
#[test]
fn what_waits_for_the_servers_limit_is_bounded() {
    talk(async {
        let (near, far) = sockets().await;
        spawn_local(async move {
            let mut raw: ::h2::server::Connection<_, Bytes> =
                ::h2::server::Builder::new().max_concurrent_streams(1).handshake(far).await.expect("handshake");
            let first = raw.accept().await;
            let _ = raw.accept().await;
            drop(first);
        });
        let connection = client::connect(Io::new(near), h2::Tuning::default()).await.expect("connection");
        let mut waiting = vec![ask(&connection, Request::get("http://api/"), true).await];
        while connection.has_room() {
            tokio::task::yield_now().await;
        }
        let why = loop {
            let mut request = Request::get("http://api/").body(()).expect("request");
            match connection.clone().send(&mut request, Head::Taken, true).await {
                Ok((outgoing, pending)) => waiting.push((Outgoing::H2(outgoing), Pending::H2(pending))),
                Err(why) => break why,
            }
        };
        assert!(matches!(why, Broken::Full));
        assert_eq!(waiting.len(), connection.streams());
        assert!((2..1000).contains(&waiting.len()), "{} wait", waiting.len());
    });
}
