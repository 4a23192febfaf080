//! One keep-alive HTTP/1 connection: sends the same GET again and again, reads each answer to its end.
//!
//! Knows answers with a Content-Length only: the bench's backends give no others. Anything but 200 is a failure.

use std::cell::Cell;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::arguments::Arguments;

const BUFFER: usize = 128 << 10;

pub(crate) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(arguments: &Arguments) -> io::Result<Self> {
        let stream = TcpStream::connect(arguments.address).await?;
        stream.set_nodelay(true)?;
        let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", arguments.path, arguments.address).into_bytes();
        Ok(Connection { stream, request, buffer: vec![0; BUFFER] })
    }

    /// One request and its whole answer. `received` counts the body's bytes as they come.
    pub(crate) async fn ask(&mut self, received: &Cell<u64>) -> io::Result<()> {
        self.stream.write_all(&self.request).await?;
        let mut filled = 0;
        let head = loop {
            filled += self.read(filled).await?;
            if let Some(head) = read_head(&self.buffer[..filled])? {
                break head;
            }
        };
        let mut body = filled - head.size;
        received.set(received.get() + body as u64);
        while body < head.length {
            let more = self.read(0).await?;
            received.set(received.get() + more as u64);
            body += more;
        }
        if body > head.length { Err(io::Error::other("an answer is longer than it says")) } else { Ok(()) }
    }

    /// The bare connection; 10,000 of them cannot have a buffer each.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    async fn read(&mut self, from: usize) -> io::Result<usize> {
        match self.stream.read(&mut self.buffer[from..]).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            more => Ok(more),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    size: usize,
    /// Of the body.
    length: usize,
}

/// The head at the beginning of `bytes`; nothing while it is incomplete.
fn read_head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..end]).map_err(io::Error::other)?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    if status != "200" {
        return Err(io::Error::other(format!("answered with {status}")));
    }
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .ok_or_else(|| io::Error::other("an answer without a Content-Length"))?;
    Ok(Some(Head { size: end + 4, length }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement: a head that came in pieces is read when it is whole; case and blanks do not matter.
    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let text = b"HTTP/1.1 200\r\nserver: x\r\ncontent-LENGTH:  12\r\n\r\nabc";
        assert_eq!(read_head(&text[..30]).unwrap(), None);
        assert_eq!(read_head(text).unwrap(), Some(Head { size: text.len() - 3, length: 12 }));
    }

    /// Requirement: an error and a body of unknown length are failures, not answers.
    #[test]
    fn what_is_no_good_answer_is_a_failure() {
        for text in ["HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "\r\n\r\n"] {
            assert!(read_head(text.as_bytes()).is_err(), "{text}");
        }
    }
}
