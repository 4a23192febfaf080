//! One byte stream, whatever is below it.
//!
//! Carries the bytes that detection has already read in front of those still to come. It never interprets them.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

use crate::account::Connection;

/// A TCP stream with bytes in front of it that were read already.
#[derive(Debug)]
pub(crate) struct Prefixed {
    prefix: Bytes,
    tcp: TcpStream,
    /// Its reader is TLS, which asks for 4 KiB at a time.
    below_tls: bool,
    /// The last read filled all the room that it was given: there is more.
    more: bool,
}

impl Prefixed {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Prefixed::with_prefix(Bytes::new(), tcp)
    }

    pub(crate) fn with_prefix(prefix: Bytes, tcp: TcpStream) -> Self {
        Prefixed { prefix, tcp, below_tls: false, more: false }
    }

    /// Reads more than there is room for; the rest stays in front of the stream.
    fn poll_read_ahead(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut ahead = BytesMut::with_capacity(AHEAD);
        let count = ready!(pin!(self.tcp.read_buf(&mut ahead)).poll(cx))?;
        self.more = count == AHEAD;
        self.prefix = ahead.freeze();
        take(&mut self.prefix, buf);
        Poll::Ready(Ok(()))
    }
}

/// What is read at once from a stream that has much to give, where its reader would take it in 4 KiB. For what it
/// saves see the frames of HTTP/2.
const AHEAD: usize = 64 << 10;

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
    ServerTls(Box<server::TlsStream<Prefixed>>),
    ClientTls(Box<client::TlsStream<Prefixed>>),
}

impl Io {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Io::plain(Prefixed::new(stream))
    }

    pub(crate) fn plain(stream: Prefixed) -> Self {
        Io::over(Stream::Plain(stream))
    }

    pub(crate) fn server_tls(mut stream: server::TlsStream<Prefixed>) -> Self {
        stream.get_mut().0.below_tls = true;
        Io::over(Stream::ServerTls(Box::new(stream)))
    }

    pub(crate) fn client_tls(mut stream: client::TlsStream<Prefixed>) -> Self {
        stream.get_mut().0.below_tls = true;
        Io::over(Stream::ClientTls(Box::new(stream)))
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
            Stream::ServerTls(stream) => &stream.get_ref().0.tcp,
            Stream::ClientTls(stream) => &stream.get_ref().0.tcp,
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
        if self.more && self.below_tls {
            return self.poll_read_ahead(cx, buf);
        }
        let before = buf.remaining();
        let read = Pin::new(&mut self.tcp).poll_read(cx, buf);
        self.more = buf.remaining() == 0 && before > 0;
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
            Stream::ServerTls($stream) => $call,
            Stream::ClientTls($stream) => $call,
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
            Stream::ServerTls(stream) => stream.is_write_vectored(),
            Stream::ClientTls(stream) => stream.is_write_vectored(),
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    /// Requirement: what is read ahead of TLS comes out in order and whole, then the end; nothing of it is kept behind.
    #[tokio::test]
    async fn reading_ahead_loses_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let sending = TcpStream::connect(listener.local_addr().expect("address"));
        let (sender, accepted) = tokio::join!(sending, listener.accept());
        let bytes: Vec<u8> = (0..1_000_003_u32).map(|number| (number % 251) as u8).collect();
        let (mut sender, sent) = (sender.expect("connected"), bytes.clone());
        let sending = tokio::spawn(async move { sender.write_all(&sent).await });
        let mut stream = Prefixed::new(accepted.expect("accepted").0);
        stream.below_tls = true;
        let (mut seen, mut ahead) = (Vec::new(), false);
        let mut room = [0; 4096];
        loop {
            let count = stream.read(&mut room).await.expect("bytes");
            if count == 0 {
                break;
            }
            seen.extend_from_slice(&room[..count]);
            ahead |= !stream.prefix.is_empty();
        }
        sending.await.expect("joined").expect("sent");
        assert!(seen == bytes, "{} bytes of {} came, or others", seen.len(), bytes.len());
        assert!(ahead, "nothing was read ahead");
        assert!(stream.prefix.is_empty());
    }
}
