//! Takes a body apart as its bytes arrive. Never buffers: each call gives out what is already there.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::connection::may_be_trailer;
use super::framing::BodyFraming;
use super::head::parse_trailers;
use super::{Limits, Rejected};

/// What comes next in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Never empty.
    Data(Bytes),
    /// Comes at most once, before the end, and only if there was at least one field.
    Trailers(HeaderMap),
    /// Nothing more of this message; whatever is left in the buffer belongs to the next one.
    End,
}

/// Any body, by its framing.
#[derive(Debug)]
pub enum BodyDecoder {
    /// At its end.
    Done,
    /// This many bytes are still to come.
    Length(u64),
    /// In chunks.
    Chunked(ChunkedDecoder),
    /// As long as the connection lasts; its end is the body's, which only the connection can see.
    UntilClose,
}

impl BodyDecoder {
    /// Begins a body.
    pub fn new(framing: BodyFraming, limits: &Limits) -> Self {
        match framing {
            BodyFraming::None | BodyFraming::Length(0) => Self::Done,
            BodyFraming::Length(length) => Self::Length(length),
            BodyFraming::Chunked => Self::Chunked(ChunkedDecoder::new(*limits)),
            BodyFraming::UntilClose => Self::UntilClose,
        }
    }

    /// Whether the whole body has been given out.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Bytes still to come, where that is known beforehand.
    pub fn remaining(&self) -> Option<u64> {
        match self {
            Self::Done => Some(0),
            Self::Length(left) => Some(*left),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    /// The next piece that is already in `buf`; `None` when more bytes are needed.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<Piece>, Rejected> {
        let piece = match self {
            Self::Done => Some(Piece::End),
            Self::Length(left) => take(buf, left).map(Piece::Data),
            Self::Chunked(chunks) => chunks.decode(buf)?,
            Self::UntilClose => take(buf, &mut u64::MAX.clone()).map(Piece::Data),
        };
        if piece == Some(Piece::End) || matches!(self, Self::Length(0)) {
            *self = Self::Done;
        }
        Ok(piece)
    }
}

/// Chunked coding (RFC 9112 §7.1), stricter than its grammar where readers are known to differ.
#[derive(Debug)]
pub struct ChunkedDecoder {
    state: State,
    limits: Limits,
}

#[derive(Debug)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    End,
}

impl ChunkedDecoder {
    /// `limits` hold for the trailer section as they do for a head.
    pub fn new(limits: Limits) -> Self {
        Self { state: State::Size, limits }
    }

    /// As [`BodyDecoder::decode`].
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<Piece>, Rejected> {
        loop {
            match &mut self.state {
                State::Size => match chunk_size(buf)? {
                    None => return Ok(None),
                    Some(0) => self.state = State::Trailers,
                    Some(size) => self.state = State::Data(size),
                },
                State::Data(left) => {
                    let data = take(buf, left);
                    if *left == 0 {
                        self.state = State::DataEnd;
                    }
                    return Ok(data.map(Piece::Data));
                }
                State::DataEnd => match buf.as_ref() {
                    [b'\r', b'\n', ..] => {
                        buf.advance(2);
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(None),
                    _ => return Err(Rejected::bad("chunk data does not end with crlf")),
                },
                State::Trailers => {
                    let Some(trailers) = parse_trailers(buf, &self.limits)? else {
                        return Ok(None);
                    };
                    if !trailers.keys().all(may_be_trailer) {
                        return Err(Rejected::bad("a framing, routing or connection field among the trailers"));
                    }
                    self.state = State::End;
                    if !trailers.is_empty() {
                        return Ok(Some(Piece::Trailers(trailers)));
                    }
                }
                State::End => return Ok(Some(Piece::End)),
            }
        }
    }
}

/// Reads `chunk-size [chunk-ext] CRLF`. Extensions are checked for control characters and dropped: they are hop by hop.
fn chunk_size(buf: &mut BytesMut) -> Result<Option<u64>, Rejected> {
    let window = &buf[..buf.len().min(CHUNK_LINE)];
    // Judged first, so that the answer is the same whether the rest of the line is there or not.
    if window.first().is_some_and(|first| !first.is_ascii_hexdigit()) {
        return Err(ODD_SIZE);
    }
    let Some(lf) = memchr::memchr(b'\n', window) else {
        return if window.len() == CHUNK_LINE { Err(Rejected::bad("chunk line is too long")) } else { Ok(None) };
    };
    let line = window[..lf].strip_suffix(b"\r").ok_or(Rejected::bad("a chunk line ends with a bare lf"))?;
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if !(1..=16).contains(&digits) {
        return Err(ODD_SIZE);
    }
    match &line[digits..] {
        [] => {}
        [b';', extension @ ..] if is_extension(extension) => {}
        _ => return Err(ODD_SIZE),
    }
    let size = line[..digits].iter().fold(0, |sum, &digit| (sum << 4) | u64::from((digit as char).to_digit(16).unwrap_or(0)));
    buf.advance(lf + 1);
    Ok(Some(size))
}

/// No control characters, and a name behind the last semicolon: one that names nothing is no extension, and some readers refuse it.
fn is_extension(text: &[u8]) -> bool {
    let named = text.trim_ascii_end().last().is_some_and(|last| *last != b';');
    named && text.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

/// Up to `left` bytes from the front, without copying.
fn take(buf: &mut BytesMut, left: &mut u64) -> Option<Bytes> {
    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(buf.len());
    if here == 0 {
        return None;
    }
    *left -= here as u64;
    Some(buf.split_to(here).freeze())
}

/// Bytes of a chunk line. Extensions are rare and short; a sender of long ones only wastes our time.
const CHUNK_LINE: usize = 4096;
const ODD_SIZE: Rejected = Rejected::bad("odd chunk size");
