//! The codec beside hyper: what ours takes, hyper takes too and understands alike.
//!
//! What ours refuses is left out: hyper is known to take both lengths, equal lengths, bare line feeds and a missing or second Host.
//! Messages behind one that ends its connection are left out as well, and so is what hyper answers by itself.

use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use ::hyper::body::{Body, Frame, Incoming, SizeHint};
use ::hyper::rt::{Read, ReadBufCursor, Write};
use ::hyper::service::service_fn;
use ::hyper::{client, server};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Version};

use super::read;
use super::reading::{Ending, Message, of_map};

/// The first byte says whether the rest are requests or a response.
pub fn hyper(data: &[u8]) {
    match data.split_first() {
        // Beyond this, hyper's limits are other than ours.
        Some((_, stream)) if stream.len() > 4096 => {}
        Some((b'q', stream)) => requests(stream),
        Some((_, stream)) => response(stream),
        None => {}
    }
}

fn requests(stream: &[u8]) {
    let (mut ours, ending) = read(None, [stream]);
    if matches!(ending, Ending::Refused(..)) {
        return;
    }
    let last = ours.iter().position(|message| !message.keeps || message.upgrade).map_or(ours.len(), |at| at + 1);
    ours.truncate(last);
    let theirs = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let theirs = theirs.clone();
        async move {
            let (head, body) = request.into_parts();
            if let Some((body, trailers)) = collect(body).await {
                let target = if head.method == Method::OPTIONS { "*".into() } else { head.uri.to_string() };
                theirs.borrow_mut().push(((head.method.to_string(), target), head.version, fields(&head.headers), body, trailers));
            }
            Ok::<_, io::Error>(Response::new(Nothing))
        }
    });
    let io = Memory { input: stream.to_vec(), at: 0, may_read: true };
    let connection = server::conn::http1::Builder::new().half_close(true).max_headers(128).serve_connection(io, service);
    drive(connection);
    let ours: Vec<_> = ours.into_iter().map(of_request).collect();
    let theirs = theirs.take();
    assert_eq!(theirs.get(..ours.len()), Some(&ours[..]), "ours and hyper's understanding, {theirs:?}");
}

fn response(stream: &[u8]) {
    for method in [Method::GET, Method::HEAD] {
        let (ours, ending) = read(Some(method.clone()), [stream]);
        let Some(first) = ours.into_iter().find(|message| !message.start.0.starts_with('1') || message.start.0 == "101") else { continue };
        if matches!(ending, Ending::Refused(..)) || first.start.0 == "101" {
            continue;
        }
        let theirs = answer(stream, &method).expect("hyper takes what ours takes");
        assert_eq!(theirs, of_response(first), "ours and hyper's understanding");
    }
}

type Said = ((String, String), Version, Vec<(String, Vec<u8>)>, Vec<u8>, Vec<(String, Vec<u8>)>);

fn answer(stream: &[u8], method: &Method) -> Option<Said> {
    let io = Memory { input: stream.to_vec(), at: 0, may_read: false };
    let (mut sender, connection) = drive(client::conn::http1::Builder::new().max_headers(128).handshake(io))?.ok()?;
    let request = Request::builder().method(method).uri("/").header("host", "a").body(Nothing).ok()?;
    let mut connection = pin!(connection);
    let mut exchange = pin!(async {
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        let (body, trailers) = collect(body).await?;
        Some(((head.status.as_str().to_owned(), String::new()), head.version, fields(&head.headers), body, trailers))
    });
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..TURNS {
        let _ = connection.as_mut().poll(&mut cx);
        if let Poll::Ready(said) = exchange.as_mut().poll(&mut cx) {
            return said;
        }
    }
    None
}

fn of_request(message: Message) -> Said {
    let target = if message.start.0 == "OPTIONS" { "*".into() } else { String::from_utf8_lossy(&message.start.1).into_owned() };
    said((message.start.0.clone(), target), message)
}

fn of_response(message: Message) -> Said {
    said((message.start.0.clone(), String::new()), message)
}

fn said(start: (String, String), message: Message) -> Said {
    let version = if message.version == "1.0" { Version::HTTP_10 } else { Version::HTTP_11 };
    (start, version, message.headers, message.body, message.trailers)
}

fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    of_map(headers)
}

/// `None`: the body did not come to its end.
async fn collect(body: Incoming) -> Option<(Vec<u8>, Vec<(String, Vec<u8>)>)> {
    let (mut body, mut data, mut trailers) = (pin!(body), Vec::new(), Vec::new());
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        match frame.ok()?.into_data() {
            Ok(piece) => data.extend_from_slice(&piece),
            Err(frame) => trailers = frame.into_trailers().map(|found| of_map(&found)).unwrap_or_default(),
        }
    }
    Some((data, trailers))
}

/// Nothing here ever waits for anything but a turn.
fn drive<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..TURNS {
        if let Poll::Ready(done) = future.as_mut().poll(&mut cx) {
            return Some(done);
        }
    }
    None
}

struct Nothing;

impl Body for Nothing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

/// Gives its bytes and then the end; takes everything. A client's answer comes only after its request.
struct Memory {
    input: Vec<u8>,
    at: usize,
    may_read: bool,
}

impl Read for Memory {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if !self.may_read {
            return Poll::Pending;
        }
        let count = buf.remaining().min(self.input.len() - self.at);
        buf.put_slice(&self.input[self.at..self.at + count]);
        self.at += count;
        Poll::Ready(Ok(()))
    }
}

impl Write for Memory {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.may_read = true;
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

const TURNS: usize = 10_000;
