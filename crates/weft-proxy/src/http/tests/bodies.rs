//! What flows, in which order and how much of it at once.

use std::cell::Cell;

use super::*;

/// Requirement: request and response bodies flow at the same time, piece by piece, and the trailers of both arrive with the status in the record.
#[test]
fn both_bodies_flow_at_once_with_trailers() {
    talk(async {
        let (connection, mut ended) = through(echo).await;
        let (mut outgoing, mut pending) = ask(&connection, post(), false).await;
        outgoing.data(bytes("one")).await.expect("data");
        let (head, mut body) = answer(&mut pending).await.expect("an answer before the request is complete");
        assert_eq!(head.status(), 200);
        let Some(Frame::Data(first)) = body.frame().await.expect("frame") else { panic!("no data") };
        assert_eq!(first, "one");
        outgoing.data(bytes("two")).await.expect("data");
        let Some(Frame::Data(second)) = body.frame().await.expect("frame") else { panic!("no data") };
        assert_eq!(second, "two");
        outgoing.trailers(grpc_status("7")).await.expect("trailers");
        let (rest, trailers) = read(&mut body).await.expect("rest");
        assert_eq!((rest.len(), trailers), (0, grpc_status("7")));
        let done = ended.recv().await.expect("ended").expect("complete");
        assert_eq!((done.status.as_u16(), done.grpc_status), (200, Some(7)));
    });
}

/// Requirement: a request without a body and an answer that is only a head (trailers-only, for gRPC) pass as that: nothing is added.
#[test]
fn a_head_alone_stays_alone() {
    talk(async {
        let (connection, mut ended) = through(async |request: Request<()>, source: Source, sink: Sink| {
            assert!(source.is_end(), "{request:?}");
            let mut response = Response::new(());
            *response.headers_mut() = grpc_status("5");
            sink.respond(response, true).await.expect("head");
        })
        .await;
        let (_, mut pending) = ask(&connection, Request::get("http://api/x"), true).await;
        let (head, body) = answer(&mut pending).await.expect("answer");
        assert!(body.is_end());
        assert_eq!(*head.headers(), grpc_status("5"));
        assert_eq!(ended.recv().await.expect("ended").expect("complete").grpc_status, Some(5));
    });
}

/// Requirement: a slow reader stops the sender through the proxy: what is under way stays within windows and buffers, whatever the size
/// of the body, and every byte arrives. In both directions.
#[test]
fn a_slow_reader_stops_the_sender() {
    const TOTAL: usize = 24 << 20;
    const UNDER_WAY: usize = 6 << 20;
    talk(async {
        let (connection, _ended) = through(echo).await;
        let (mut outgoing, mut pending) = ask(&connection, post(), false).await;
        let sent = Rc::new(Cell::new(0));
        let count = sent.clone();
        spawn_local(async move {
            let piece = Bytes::from(vec![7; 64 << 10]);
            while count.get() < TOTAL {
                outgoing.data(piece.clone()).await.expect("data");
                count.set(count.get() + piece.len());
            }
            outgoing.finish().await.expect("end");
        });
        let (_, mut body) = answer(&mut pending).await.expect("answer");
        let (mut read, mut most) = (0, 0);
        while let Some(frame) = body.frame().await.expect("frame") {
            let Frame::Data(data) = frame else { panic!("no trailers were sent") };
            read += data.len();
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            most = most.max(sent.get() - read);
        }
        assert_eq!(read, TOTAL);
        assert!(most < UNDER_WAY, "{most} bytes were under way at once");
        assert!(most > 1 << 20, "the windows are not below 1 MiB: only {most} bytes were under way");
    });
}

/// Requirement: an answer that is complete before the request is passes on whole, and ends the exchange.
#[test]
fn an_early_answer_is_passed_on_whole() {
    talk(async {
        let (connection, mut ended) = through(async |_: Request<()>, _unread: Source, sink: Sink| {
            let mut response = Response::new(());
            *response.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
            sink.respond(response, false).await.expect("head").last(bytes("too large")).await.expect("body");
        })
        .await;
        let (mut outgoing, mut pending) = ask(&connection, post(), false).await;
        outgoing.data(bytes("a part")).await.expect("data");
        let (head, mut body) = answer(&mut pending).await.expect("answer");
        assert_eq!(head.status(), 413);
        assert_eq!(read(&mut body).await.expect("body").0, b"too large");
        assert_eq!(ended.recv().await.expect("ended").expect("complete").status, 413);
    });
}

/// Requirement: informational responses pass before the final one, in order.
#[test]
fn informational_responses_pass() {
    talk(async {
        let (connection, _ended) = through(async |_: Request<()>, _: Source, mut sink: Sink| {
            for status in [103, 100] {
                sink.informational(Response::builder().status(status).body(()).expect("head")).await.expect("sent");
            }
            sink.respond(Response::new(()), true).await.expect("head");
        })
        .await;
        let (_, mut pending) = ask(&connection, Request::get("http://api/"), true).await;
        for status in [103, 100] {
            let Ok(Reply::Informational(head)) = pending.next().await else { panic!("no informational response") };
            assert_eq!(head.status(), status);
        }
        assert_eq!(answer(&mut pending).await.expect("answer").0.status(), 200);
    });
}
