//! One byte stream, whatever is below it.
//!
//! Carries the bytes that detection has already read in front of those still to come. It never interprets them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::account::Connection;
use crate::{clock, tls};

/// A TCP stream with bytes in front of it that were read already.
#[derive(Debug)]
pub(crate) struct Prefixed {
    prefix: Bytes,
    tcp: TcpStream,
}

impl Prefixed {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Prefixed::with_prefix(Bytes::new(), tcp)
    }

    pub(crate) fn with_prefix(prefix: Bytes, tcp: TcpStream) -> Self {
        Prefixed { prefix, tcp }
    }
}

#[derive(Debug)]
pub(crate) struct Io {
    /// Read before the rest of the stream: what detection took out of a TLS stream.
    prefix: Bytes,
    stream: Stream,
    /// Told of every byte, and of the end by being dropped.
    counted: Option<Connection>,
}

#[derive(Debug)]
enum Stream {
    Plain(Prefixed),
    // Boxed: a TLS session is over a kilobyte and most streams that pass through functions by value are plain.
    Tls(Box<tls::stream::Stream<Prefixed>>),
}

impl Io {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Io::plain(Prefixed::new(stream))
    }

    pub(crate) fn plain(stream: Prefixed) -> Self {
        Io::over(Stream::Plain(stream))
    }

    pub(crate) fn tls(stream: tls::stream::Stream<Prefixed>) -> Self {
        Io::over(Stream::Tls(Box::new(stream)))
    }

    fn over(stream: Stream) -> Self {
        Io { prefix: Bytes::new(), stream, counted: None }
    }

    /// From now on the bytes and the end of this stream are counted.
    pub(crate) fn counted(mut self, connection: Connection) -> Self {
        connection.read(self.prefix.len());
        self.counted = Some(connection);
        self
    }

    /// Puts bytes that were read for detection back in front of the stream.
    pub(crate) fn with_prefix(mut self, prefix: Bytes) -> Self {
        if self.prefix.is_empty() {
            self.prefix = prefix;
        } else {
            self.prefix = [prefix, std::mem::take(&mut self.prefix)].concat().into();
        }
        self
    }

    fn count(&self, wrote: &Poll<io::Result<usize>>) {
        if let (Some(counted), Poll::Ready(Ok(bytes))) = (&self.counted, wrote) {
            counted.wrote(*bytes);
        }
    }

    fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => &stream.tcp,
            Stream::Tls(stream) => &stream.below().tcp,
        }
    }

    /// Whether the other end is a proxy of the mesh.
    pub(crate) fn is_meshed(&self) -> bool {
        !matches!(self.stream, Stream::Plain(_))
    }

    /// The connection will end with a reset when it is dropped, so that the peer cannot take the end for a clean one.
    pub(crate) fn abort(&self) {
        // A failure means that the connection is gone already, which is what was wanted.
        let _ = socket2::SockRef::from(self.tcp()).set_linger(Some(Duration::ZERO));
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.prefix.has_remaining() {
            take(&mut self.prefix, buf);
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.tcp).poll_read(cx, buf);
        if read.is_ready() {
            clock::passed();
        }
        read
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Calls one poll function on whichever stream is below.
macro_rules! on_stream {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.stream {
            Stream::Plain($stream) => $call,
            Stream::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.prefix.has_remaining() {
            take(&mut self.prefix, buf);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = on_stream!(self, stream => Pin::new(stream).poll_read(cx, buf));
        if let Some(counted) = &self.counted {
            counted.read(buf.filled().len() - before);
        }
        read
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = on_stream!(self, stream => Pin::new(stream).poll_write(cx, buf));
        self.count(&wrote);
        wrote
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let wrote = on_stream!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs));
        self.count(&wrote);
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

fn take(prefix: &mut Bytes, buf: &mut ReadBuf<'_>) {
    let n = prefix.remaining().min(buf.remaining());
    buf.put_slice(&prefix.split_to(n));
}
