//! Bodies that nobody reads, beside others on the same connection.

use std::cell::Cell;

use tokio::io::AsyncWriteExt;

use super::floods::{ACK, DATA, END_HEADERS, HEADERS, NOTHING, PING, POST, SETTINGS, frame, raw, receive};
use super::*;
use crate::tls::tests::secured;

const MIB: usize = 1 << 20;
/// Larger than a stream's window in both connections, so that its sender has to wait.
const LARGE: usize = 3 * MIB;
/// Together more than a connection is allowed in other meshes.
const MANY: usize = 40;

async fn send(mut outgoing: Outgoing, size: usize) {
    let piece = Bytes::from(vec![7; 64 << 10]);
    for _ in 0..size / piece.len() {
        outgoing.data(piece.clone()).await.expect("data");
    }
    outgoing.finish().await.expect("end");
}

/// Answers with a large body.
async fn give(_: Request<()>, _: Source, sink: Sink) {
    send(sink.respond(Response::new(()), false).await.expect("head"), LARGE).await;
}

/// Reads no request but those for `/now` before it may, and echoes them all.
fn reluctant(may: &watch::Receiver<bool>) -> impl Fn(Request<()>, Source, Sink) -> std::pin::Pin<Box<dyn Future<Output = ()>>> + 'static {
    let may = may.clone();
    move |request, source, sink| {
        let mut may = may.clone();
        Box::pin(async move {
            if request.uri().path() != "/now" {
                may.wait_for(|may| *may).await.expect("the test goes on");
            }
            echo(request, source, sink).await;
        })
    }
}

/// Requirement (a defect once: seventeen downloads that a client had not yet begun to read stopped every other request of all clients to the
/// same server, and a client that read one behind the other waited for ever): answers that nobody reads stop no other, and stay whole.
#[test]
fn answers_that_nobody_reads_stop_no_other() {
    talk(async {
        let (connection, _ended) = through(give).await;
        let mut unread = Vec::new();
        for _ in 0..MANY {
            let (_, mut pending) = ask(&connection, post(), true).await;
            unread.push(answer(&mut pending).await.expect("answer").1);
        }
        for mut body in std::iter::once(answer(&mut ask(&connection, post(), true).await.1).await.expect("answer").1).chain(unread) {
            assert_eq!(read(&mut body).await.expect("body").0.len(), LARGE);
        }
    });
}

/// Requirement: the same for requests that a server does not read.
#[test]
fn requests_that_nobody_reads_stop_no_other() {
    talk(async {
        let (go, may) = watch::channel(false);
        let (connection, _ended) = through(reluctant(&may)).await;
        let mut unread = Vec::new();
        for _ in 0..MANY {
            let (outgoing, pending) = ask(&connection, post(), false).await;
            spawn_local(send(outgoing, LARGE));
            unread.push(pending);
        }
        let (outgoing, mut pending) = ask(&connection, Request::post("http://api.default/now"), false).await;
        spawn_local(send(outgoing, LARGE));
        let (_, mut body) = answer(&mut pending).await.expect("answer");
        assert_eq!(read(&mut body).await.expect("body").0.len(), LARGE);
        go.send_replace(true);
        for mut pending in unread {
            let (_, mut body) = answer(&mut pending).await.expect("answer");
            assert_eq!(read(&mut body).await.expect("body").0.len(), LARGE);
        }
    });
}

/// Requirement: what a connection between proxies holds of bodies that nobody reads grows far slower than their number, and a stream gets
/// all of its window again when they have been read.
#[test]
fn what_nobody_reads_stays_bounded() {
    const STREAMS: usize = 320;
    talk(async {
        let (go, may) = watch::channel(false);
        let (connection, _stop) = server_over(secured(sockets().await).await, reluctant(&may)).await;
        let sent = Rc::new(Cell::new(0));
        let upload = async |path: &str, size: usize| {
            let (mut outgoing, pending) = ask(&connection, Request::post(format!("http://api{path}")), false).await;
            let sent = sent.clone();
            spawn_local(async move {
                let piece = Bytes::from(vec![7; 16 << 10]);
                for _ in 0..size / piece.len() {
                    outgoing.data(piece.clone()).await.expect("data");
                    sent.set(sent.get() + piece.len());
                }
                outgoing.finish().await.expect("end");
            });
            pending
        };
        assert!(connection.settled().await);
        let mut unread = Vec::new();
        for _ in 0..STREAMS {
            unread.push(upload("/", MIB).await);
            // One behind the other, or what lies in the client's buffers would be most of it.
            for _ in 0..200 {
                tokio::task::yield_now().await;
            }
        }
        let held = at_rest(&sent).await;
        assert!((16 * MIB..128 * MIB).contains(&held), "{held} bytes are held");
        go.send_replace(true);
        for mut pending in unread {
            let (_, mut body) = answer(&mut pending).await.expect("answer");
            assert_eq!(read(&mut body).await.expect("body").0.len(), MIB);
        }

        let mut pending = upload("/now", 8 * MIB).await;
        read(&mut answer(&mut pending).await.expect("answer").1).await.expect("body");
        go.send_replace(false);
        sent.set(0);
        let _pending = upload("/", 2 * MIB).await;
        assert_eq!(at_rest(&sent).await, MIB);
    });
}

/// Requirement (a defect once: Go's client lost streams for it): whoever is no proxy is never told of another window, whatever stands.
#[test]
fn the_window_of_an_application_stays() {
    const STREAMS: u32 = 24;
    talk(async {
        let (_go, may) = watch::channel(false);
        let mut socket = raw(reluctant(&may), &[]).await;
        while !matches!(receive(&mut socket).await.expect("open"), (SETTINGS, NOTHING, ..)) {}
        socket.write_all(&frame(SETTINGS, ACK, 0, &[])).await.expect("taken");
        for number in 0..STREAMS {
            let stream = 2 * number + 1;
            let body = frame(DATA, NOTHING, stream, &[7; 16 << 10]).repeat(64);
            socket.write_all(&[frame(HEADERS, END_HEADERS, stream, POST), body].concat()).await.expect("taken");
        }
        socket.write_all(&frame(PING, NOTHING, 0, &[0; 8])).await.expect("taken");
        let mut told = 0;
        loop {
            match receive(&mut socket).await.expect("open") {
                (PING, ACK, ..) => break,
                (SETTINGS, NOTHING, ..) => told += 1,
                _ => {}
            }
        }
        assert_eq!(told, 0);
    });
}

/// How much was sent when no more is.
async fn at_rest(sent: &Cell<usize>) -> usize {
    loop {
        let before = sent.get();
        tokio::time::sleep(Duration::from_millis(300)).await;
        if sent.get() == before && before > 0 {
            return before;
        }
    }
}
