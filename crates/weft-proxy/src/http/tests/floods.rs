//! Clients that send frames to do harm: each is ended, or held to a bounded amount, and nobody else on the worker notices.
//!
//! The frames are written by hand on a real socket: the client that we use otherwise is too well behaved.

use std::cell::Cell;

use ::h2::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::*;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const UNKNOWN: u8 = 0xbe;
pub(super) const NOTHING: u8 = 0;
pub(super) const ACK: u8 = 1;
const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
/// `:method: POST`, `:scheme: http`, `:path: /`, `:authority: api`, as HPACK has them.
pub(super) const POST: &[u8] = b"\x83\x86\x84\x41\x03api";
/// What a flood may get rid of before it must stand still: the windows, the buffers of two sockets and then some.
const HELD: usize = 24 << 20;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("length").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A client's socket, its preface and settings sent.
pub(super) async fn raw<H, F>(handler: H, settings: &[u8]) -> TcpStream
where
    H: Fn(Request<()>, Source, Sink) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    raw_over(sockets().await, handler, settings).await
}

async fn raw_over<H, F>((mut near, far): (TcpStream, TcpStream), handler: H, settings: &[u8]) -> TcpStream
where
    H: Fn(Request<()>, Source, Sink) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let (stop, stopping) = watch::channel(false);
    spawn_local(async move {
        let _stop = stop;
        let handler = |message: Box<Message>| handler(message.request, message.source, message.sink);
        let _ = h2::server::serve(Io::new(far), h2::Tuning::default(), stopping, handler).await;
    });
    near.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("preface");
    near.write_all(&frame(SETTINGS, NOTHING, 0, settings)).await.expect("settings");
    near
}

/// A connection on which a megabyte may be under way that nobody has read.
async fn roomy_sockets() -> (TcpStream, TcpStream) {
    let room = 1 << 20;
    let (listening, connecting) = (TcpSocket::new_v4().expect("socket"), TcpSocket::new_v4().expect("socket"));
    listening.bind("127.0.0.1:0".parse().expect("address")).expect("bound");
    listening.set_recv_buffer_size(2 * room).expect("room");
    connecting.set_send_buffer_size(2 * room).expect("room");
    let listener = listening.listen(1).expect("listens");
    let address = listener.local_addr().expect("address");
    let (connected, accepted) = tokio::join!(connecting.connect(address), listener.accept());
    (connected.expect("connect"), accepted.expect("accept").0)
}

/// The next frame: kind, flags, stream, payload. None when the server has closed.
pub(super) async fn receive(socket: &mut TcpStream) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    socket.read_exact(&mut head).await.ok()?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    socket.read_exact(&mut payload).await.ok()?;
    Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
}

/// Sends `bytes` and reads until the server's GOAWAY: its code; none if it closed without one.
async fn goaway(mut socket: TcpStream, bytes: Vec<u8>) -> Option<Reason> {
    let (mut reading, mut writing) = socket.split();
    let flood = async {
        // Fails when the server has closed, which is what is waited for.
        let _ = writing.write_all(&bytes).await;
        std::future::pending::<()>().await;
    };
    let mut all = Vec::new();
    tokio::select! {
        () = flood => {}
        _ = reading.read_to_end(&mut all) => {}
    }
    while all.len() >= 9 {
        let length = u32::from_be_bytes([0, all[0], all[1], all[2]]) as usize;
        if all[3] == GOAWAY {
            return Some(u32::from_be_bytes(all[13..17].try_into().expect("code")).into());
        }
        all.drain(..9 + length);
    }
    None
}

/// Sends `piece` again and again, and reads nothing: how much the server and the sockets took when they take no more.
async fn taken(socket: &mut TcpStream, piece: &[u8]) -> usize {
    let mut taken = 0;
    let many = piece.repeat(1024);
    while let Ok(Ok(bytes)) = tokio::time::timeout(STANDS_STILL, socket.write(&many)).await {
        taken += bytes;
        assert!(taken < HELD, "nothing stops the flood");
    }
    taken
}

/// A request on a connection of its own is answered.
async fn another_client_is_served() {
    let (connection, _stop) = server(echo).await;
    let (outgoing, mut pending) = ask(&connection, post(), false).await;
    outgoing.last(bytes("hello")).await.expect("data");
    let (_, mut body) = answer(&mut pending).await.expect("answer");
    assert_eq!(read(&mut body).await.expect("body").0, b"hello");
}

/// Requirement: a client that opens streams only to reset them is told to calm down and is gone.
#[test]
fn rapid_reset_ends_the_connection() {
    talk(async {
        let socket = raw(echo, &[]).await;
        let attack = (0..5000u32).flat_map(|number| {
            let stream = 2 * number + 1;
            [frame(HEADERS, END_HEADERS, stream, POST), frame(RST_STREAM, NOTHING, stream, &8u32.to_be_bytes())].concat()
        });
        assert_eq!(goaway(socket, attack.collect()).await, Some(Reason::ENHANCE_YOUR_CALM));
        another_client_is_served().await;
    });
}

/// Requirement: a client that cancels everything it has under way at once keeps its connection: that is what an application does
/// whose own client went away.
#[test]
fn many_cancelled_requests_are_no_attack() {
    talk(async {
        let (connection, _stop) = server(async |request: Request<()>, source: Source, mut sink: Sink| {
            if request.uri().path() == "/echo" {
                return echo(request, source, sink).await;
            }
            sink.closed().await;
        })
        .await;
        let mut waiting = Vec::new();
        for _ in 0..200 {
            waiting.push(ask(&connection, Request::post("http://api/wait"), false).await);
        }
        // Nothing has been sent so far: the requests and their resets leave together.
        drop(waiting);
        let (outgoing, mut pending) = ask(&connection, post(), false).await;
        outgoing.last(bytes("still here")).await.expect("data");
        let (_, mut body) = answer(&mut pending).await.expect("answer");
        assert_eq!(read(&mut body).await.expect("body").0, b"still here");
    });
}

/// Requirement (a defect once: ENHANCE_YOUR_CALM, and what else was under way was lost): a client whose requests are answered before their
/// bodies have come, and whose bodies come nevertheless, is led to another connection in the end, and nothing is lost.
#[test]
fn bodies_that_come_late_lead_to_another_connection() {
    talk(async {
        let at_once = async |_: Request<()>, _: Source, sink: Sink| {
            sink.respond(Response::new(()), true).await.expect("answered");
        };
        let mut socket = raw(at_once, &[]).await;
        let (mut last, mut asked, mut answered) = (u32::MAX, 0, 0);
        while asked < last {
            asked += if answered == 0 { 1 } else { 2 };
            socket.write_all(&frame(HEADERS, END_HEADERS, asked, POST)).await.expect("open");
            while answered < asked.min(last) {
                let (kind, flags, stream, payload) = receive(&mut socket).await.expect("open");
                match kind {
                    HEADERS => answered = stream,
                    PING if flags == NOTHING => socket.write_all(&frame(PING, ACK, 0, &payload)).await.expect("open"),
                    GOAWAY => {
                        assert_eq!(payload[4..8], u32::from(Reason::NO_ERROR).to_be_bytes());
                        last = u32::from_be_bytes(payload[..4].try_into().expect("stream"));
                    }
                    _ => {}
                }
            }
            socket.write_all(&frame(DATA, NOTHING, asked, b"late")).await.expect("open");
        }
        assert_eq!(answered, last, "all that it says it has seen");
    });
}

/// Requirement: a connection on which very many requests were given up takes no new ones, and those that it has go on.
#[test]
fn very_many_given_up_requests_lead_to_another_connection() {
    talk(async {
        let accepted = Rc::new(Cell::new(0));
        let counted = accepted.clone();
        let (mut connection, _stop) = server(move |request: Request<()>, source: Source, mut sink: Sink| {
            counted.set(counted.get() + 1);
            async move {
                if request.uri().path() == "/echo" {
                    return echo(request, source, sink).await;
                }
                sink.closed().await;
            }
        })
        .await;
        let (outgoing, mut pending) = ask(&connection, post(), false).await;
        let mut asked = 1;
        while connection.is_open() {
            let given_up = ask(&connection, Request::post("http://api/wait"), false).await;
            asked += 1;
            while accepted.get() < asked {
                tokio::task::yield_now().await;
            }
            drop(given_up);
        }
        outgoing.last(bytes("still here")).await.expect("data");
        let (_, mut body) = answer(&mut pending).await.expect("answer");
        assert_eq!(read(&mut body).await.expect("body").0, b"still here");
    });
}

/// Requirement: requests that go their way to the end do not wear a connection out, with a body and without.
#[test]
fn a_connection_may_be_used_for_ever() {
    talk(async {
        let (upstream, _stop) = server(echo).await;
        let (ended, _endings) = tokio::sync::mpsc::unbounded_channel();
        let (mut connection, _stop) = proxy(upstream.clone(), ended).await;
        let mut upstream = upstream;
        for body in [None, Some("body")] {
            for _ in 0..1_500 {
                let (outgoing, mut pending) = ask(&connection, post(), body.is_none()).await;
                if let Some(body) = body {
                    outgoing.last(bytes(body)).await.expect("data");
                }
                let (_, mut answered) = answer(&mut pending).await.expect("answer");
                assert_eq!(read(&mut answered).await.expect("body").0, body.unwrap_or_default().as_bytes());
            }
            assert!(connection.is_open() && upstream.is_open());
        }
    });
}

/// Requirement: a header block that never ends ends the connection instead of filling memory.
#[test]
fn endless_continuation_ends_the_connection() {
    talk(async {
        let mut attack = frame(HEADERS, NOTHING, 1, POST);
        for _ in 0..100_000 {
            // An empty one adds nothing to a header list whose size could be counted.
            attack.extend(frame(CONTINUATION, NOTHING, 1, b""));
        }
        let socket = raw(echo, &[]).await;
        assert_eq!(goaway(socket, attack).await, Some(Reason::ENHANCE_YOUR_CALM));
        another_client_is_served().await;
    });
}

/// Requirement: a header list beyond the limit is answered 431; the connection takes other requests.
#[test]
fn too_many_headers_cost_one_request() {
    talk(async {
        let (connection, _stop) = server(echo).await;
        let large = "x".repeat(8 << 10);
        let request = (0..9).fold(Request::get("http://api/"), |request, number| request.header(format!("x-{number}"), &large));
        let (_, mut pending) = ask(&connection, request, true).await;
        assert_eq!(answer(&mut pending).await.expect("answer").0.status(), 431);
        let (outgoing, mut pending) = ask(&connection, post(), false).await;
        outgoing.finish().await.expect("end");
        assert_eq!(answer(&mut pending).await.expect("answer").0.status(), 200);
    });
}

/// Requirement: a client that sends control frames and does not read their answers comes to a halt; nothing piles up for it.
#[test]
fn unread_answers_stop_floods_of_pings_and_settings() {
    for flood in [frame(PING, NOTHING, 0, b"flooding"), frame(SETTINGS, NOTHING, 0, b"")] {
        talk(async move {
            let mut socket = raw(echo, &[]).await;
            taken(&mut socket, &flood).await;
            another_client_is_served().await;
        });
    }
}

/// Requirement: a client that sends control frames, reads their answers and asks for nothing is told to calm down and is gone: each costs it
/// next to nothing and the proxy an answer.
#[test]
fn floods_that_read_their_answers_end_the_connection() {
    let update = |stream| frame(WINDOW_UPDATE, NOTHING, stream, &1u32.to_be_bytes());
    for flood in [
        frame(PING, NOTHING, 0, b"flooding"),
        frame(SETTINGS, NOTHING, 0, b""),
        frame(PRIORITY, NOTHING, 1, b"\0\0\0\0\x10"),
        frame(UNKNOWN, NOTHING, 0, b"nothing"),
        update(0),
        [update(1), frame(PING, NOTHING, 0, b"flooding")].concat(),
    ] {
        talk(async move {
            let socket = raw(
                async |_: Request<()>, _: Source, mut sink: Sink| {
                    sink.closed().await;
                },
                &[],
            )
            .await;
            let attack = [frame(HEADERS, END_HEADERS, 1, POST), flood.repeat(30_000)].concat();
            assert_eq!(goaway(socket, attack).await, Some(Reason::ENHANCE_YOUR_CALM), "{:?}", &flood[..9]);
            another_client_is_served().await;
        });
    }
}

/// Requirement: a client that pings and makes room as often as it takes a message is served for as long as it likes.
#[test]
fn a_client_that_answers_every_message_is_no_attacker() {
    const MESSAGES: usize = 20_000;
    talk(async {
        let stream = async |_: Request<()>, _: Source, sink: Sink| {
            let mut outgoing = sink.respond(Response::new(()), false).await.expect("head");
            for _ in 0..MESSAGES {
                outgoing.data(bytes("x")).await.expect("data");
            }
            outgoing.finish().await.expect("end");
        };
        let mut socket = raw(stream, &[]).await;
        socket.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, POST)).await.expect("written");
        let (mut reading, mut writing) = socket.split();
        let update = |stream| frame(WINDOW_UPDATE, NOTHING, stream, &1u32.to_be_bytes());
        let answer = [update(0), update(1), frame(PING, NOTHING, 0, b"measures")].concat();
        let mut taken = 0;
        while taken < MESSAGES {
            let mut head = [0; 9];
            reading.read_exact(&mut head).await.expect("open");
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            reading.read_exact(&mut payload).await.expect("open");
            assert_ne!(head[3], GOAWAY);
            if head[3] == DATA && !payload.is_empty() {
                taken += 1;
                writing.write_all(&answer).await.expect("open");
            }
        }
    });
}

/// Requirement (a defect once, on a busy machine: ENHANCE_YOUR_CALM): very many very small messages that lie ready in the socket at once are
/// a message each, not a flood.
#[test]
fn small_messages_that_come_all_at_once_pass() {
    talk(async {
        let mut socket = raw_over(roomy_sockets().await, echo, &[]).await;
        let pieces = [frame(HEADERS, END_HEADERS, 1, POST), frame(DATA, NOTHING, 1, b"x").repeat(60_000), frame(DATA, END_STREAM, 1, b"x")];
        let all = pieces.concat();
        // Nobody else on this thread gets a turn before the kernel takes no more.
        let mut sent = 0;
        while let Ok(taken) = socket.try_write(&all[sent..]) {
            sent += taken;
            if sent == all.len() {
                break;
            }
        }
        let (mut reading, mut writing) = socket.split();
        let send = async { writing.write_all(&all[sent..]).await.expect("open") };
        let echoed = async {
            let mut echoed = 0;
            while echoed < 60_001 {
                let mut head = [0; 9];
                reading.read_exact(&mut head).await.expect("open");
                assert_ne!(head[3], GOAWAY);
                let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
                reading.read_exact(&mut payload).await.expect("open");
                echoed += if head[3] == DATA { payload.len() } else { 0 };
            }
        };
        tokio::join!(send, echoed);
    });
}

/// Requirement: a reader that has stopped stops its sender, and costs the other streams of the connection nothing, also when what waits for
/// it are very many very small messages.
#[test]
fn a_stalled_reader_of_small_messages_harms_nobody() {
    talk(async {
        let (near, far) = sockets().await;
        spawn_local(async move {
            // Of the usual window, 64 KiB; never reads a body, and does not mind of how many frames it is.
            let mut raw: ::h2::server::Connection<_, Bytes> =
                ::h2::server::Builder::new().data_frame_budget(HELD * 256).handshake(far).await.expect("handshake");
            let mut unread = Vec::new();
            while let Some(Ok((request, mut respond))) = raw.accept().await {
                if request.uri().path() != "/stall" {
                    respond.send_response(Response::new(()), true).expect("sent");
                }
                unread.push((request, respond));
            }
        });
        let upstream = client::connect(Io::new(near), h2::Tuning::default()).await.expect("connection");
        let (ended, _endings) = tokio::sync::mpsc::unbounded_channel();
        let (connection, _stop) = proxy(upstream, ended).await;
        let (mut stalled, _pending) = ask(&connection, Request::post("http://api/stall"), false).await;
        let mut sent = 0;
        while let Ok(taken) = tokio::time::timeout(STANDS_STILL, stalled.data(bytes("message"))).await {
            taken.expect("the stream is open");
            sent += "message".len();
            assert!(sent < HELD, "nothing stops the sender");
        }
        let (_, mut pending) = ask(&connection, Request::get("http://api/other"), true).await;
        assert_eq!(answer(&mut pending).await.expect("answer").0.status(), 200);
    });
}

/// Requirement: frames that carry nothing end the connection when there are many.
#[test]
fn empty_data_ends_the_connection() {
    talk(async {
        let socket = raw(echo, &[]).await;
        let attack = [frame(HEADERS, END_HEADERS, 1, POST), frame(DATA, NOTHING, 1, b"").repeat(10_000)].concat();
        assert_eq!(goaway(socket, attack).await, Some(Reason::ENHANCE_YOUR_CALM));
        another_client_is_served().await;
    });
}

/// Requirement: streams beyond the limit are refused, as safe to send again; those below it go on.
#[test]
fn streams_beyond_the_limit_are_refused() {
    talk(async {
        let open = Rc::new(Cell::new(0));
        let counted = open.clone();
        let handler = move |_: Request<()>, _: Source, mut sink: Sink| {
            let counted = counted.clone();
            async move {
                counted.set(counted.get() + 1);
                sink.closed().await;
            }
        };
        let mut socket = raw(handler, &[]).await;
        let many: Vec<u8> = (0..1100u32).flat_map(|number| frame(HEADERS, END_HEADERS, 2 * number + 1, POST)).collect();
        socket.write_all(&many).await.expect("written");
        let mut refused = 0;
        while refused < 1100 - 1024 {
            let (kind, _, _, payload) = receive(&mut socket).await.expect("open");
            if kind == RST_STREAM {
                assert_eq!(payload, u32::from(Reason::REFUSED_STREAM).to_be_bytes());
                refused += 1;
            }
        }
        while open.get() < 1024 {
            tokio::task::yield_now().await;
        }
        assert_eq!(open.get(), 1024);
    });
}

/// Requirement: a client that makes no room for its answers costs no more than what is on its way already, whatever it asks for.
#[test]
fn no_room_for_answers_costs_a_bounded_amount() {
    talk(async {
        let sent = Rc::new(Cell::new(0));
        let count = sent.clone();
        let handler = move |_: Request<()>, _: Source, sink: Sink| {
            let count = count.clone();
            async move {
                let mut outgoing = sink.respond(Response::new(()), false).await.expect("head");
                while outgoing.data(Bytes::from(vec![0; 16 << 10])).await.is_ok() {
                    count.set(count.get() + (16 << 10));
                }
            }
        };
        // The initial window of a stream is 0.
        let mut socket = raw(handler, b"\x00\x04\x00\x00\x00\x00").await;
        let many: Vec<u8> = (0..100u32).flat_map(|number| frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, POST)).collect();
        socket.write_all(&many).await.expect("written");
        let mut answered = 0;
        while answered < 100 {
            let (kind, ..) = receive(&mut socket).await.expect("open");
            answered += usize::from(kind == HEADERS);
        }
        another_client_is_served().await;
        assert_eq!(sent.get(), 0);
    });
}

/// Nothing more is taken if nothing was for so long.
const STANDS_STILL: Duration = Duration::from_millis(300);
