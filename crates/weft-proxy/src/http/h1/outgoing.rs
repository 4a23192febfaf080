//! A body that leaves. Holds it to the length its head promised, and never ends a short one as if it were whole.

use std::future::poll_fn;

use bytes::Bytes;
use http::HeaderMap;
use weft_core::http1::BodyFraming;

use super::connection::{Leaving, Shared, flush};
use crate::http::Broken;

/// Dropped before `finish` or `trailers`, it leaves its connection unfit for another exchange.
pub(crate) struct Outgoing {
    conn: Shared,
    /// With [`BodyFraming::Length`]: what is left of it.
    framing: BodyFraming,
}

impl Outgoing {
    /// `end`: the head is the whole message, so it does not matter whether `finish` is called.
    pub(super) fn new(conn: Shared, framing: BodyFraming, end: bool) -> Self {
        conn.borrow_mut().leaving = if end { Leaving::Done } else { Leaving::Body };
        Self { conn, framing }
    }

    /// Writes one piece, and the head with it if that still waits. Returns when the kernel has taken all.
    pub(crate) async fn data(&mut self, data: Bytes) -> Result<(), Broken> {
        // What an earlier, dropped call left behind goes first. A waiting head does not count: it is to leave with the data.
        poll_fn(|cx| self.conn.borrow_mut().poll_room(cx)).await?;
        self.queue(data)?;
        flush(&self.conn).await
    }

    /// As [`Outgoing::data`] and [`Outgoing::finish`] in one write.
    pub(crate) async fn last(mut self, data: Bytes) -> Result<(), Broken> {
        poll_fn(|cx| self.conn.borrow_mut().poll_room(cx)).await?;
        self.queue(data)?;
        self.end(None).await
    }

    /// Ends the body. Trailers that its framing has no place for are left out (RFC 9110 §6.5.2 allows it).
    pub(crate) async fn trailers(mut self, trailers: HeaderMap) -> Result<(), Broken> {
        poll_fn(|cx| self.conn.borrow_mut().poll_room(cx)).await?;
        self.end(Some(&trailers)).await
    }

    pub(crate) async fn finish(mut self) -> Result<(), Broken> {
        poll_fn(|cx| self.conn.borrow_mut().poll_room(cx)).await?;
        self.end(None).await
    }

    /// Writes a head that waits for its first data. For a body whose first piece is not there yet.
    pub(crate) async fn flush(&mut self) -> Result<(), Broken> {
        flush(&self.conn).await
    }

    /// Gives the message up: the connection closes now, inside the body, so the peer cannot take it for whole.
    pub(crate) fn abort(self) {
        self.conn.borrow_mut().reset();
    }

    /// Resolves when the receiver is gone; never otherwise. In front of a server, the reader of its response is told instead.
    pub(crate) async fn closed(&mut self) -> Broken {
        poll_fn(|cx| self.conn.borrow_mut().poll_gone(cx)).await
    }

    fn queue(&mut self, data: Bytes) -> Result<(), Broken> {
        if data.is_empty() {
            return Ok(());
        }
        let mut conn = self.conn.borrow_mut();
        match &mut self.framing {
            BodyFraming::Length(left) => match left.checked_sub(data.len() as u64) {
                Some(rest) => *left = rest,
                None => return Err(conn.malformed("body is longer than its content-length")),
            },
            BodyFraming::None => return Err(conn.malformed("a body where none may be")),
            BodyFraming::Chunked | BodyFraming::UntilClose => {}
        }
        conn.queue_data(data, self.framing == BodyFraming::Chunked);
        Ok(())
    }

    async fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Broken> {
        {
            let mut conn = self.conn.borrow_mut();
            match self.framing {
                BodyFraming::Length(1..) => {
                    conn.reset();
                    return Err(conn.malformed("body is shorter than its content-length"));
                }
                BodyFraming::Chunked => conn.queue_last_chunk(trailers),
                BodyFraming::UntilClose | BodyFraming::None | BodyFraming::Length(0) => {}
            }
        }
        flush(&self.conn).await?;
        self.conn.borrow_mut().leaving = Leaving::Done;
        Ok(())
    }
}
