//! Reads a stream of HTTP/1 messages with the codec, as a connection does, and says what was understood.

use bytes::BytesMut;
use http::{HeaderMap, Method, Version};
use weft_core::http1::{
    BodyDecoder, BodyFraming, Limits, Piece, Reason, Rejected, encode_request, keep_alive, parse_request, parse_response, upgrade_requested,
};

/// One message as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Method and target, or status and reason.
    pub start: (String, Vec<u8>),
    pub version: &'static str,
    pub headers: Vec<(String, Vec<u8>)>,
    pub framing: String,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, Vec<u8>)>,
    pub keeps: bool,
    pub upgrade: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    End,
    More,
    Refused(u16, String),
}

pub type Understood = (Vec<Message>, Ending);

/// Fields of different names have no order among them.
pub fn fields(found: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = found.collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

pub fn of_map(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    fields(headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())))
}

/// Reads a stream of messages as its bytes come.
pub struct Reader {
    /// The method that responses answer; `None`: the stream holds requests.
    answers: Option<Method>,
    buf: BytesMut,
    decoder: BodyDecoder,
    current: Option<Message>,
    messages: Vec<Message>,
    refused: Option<Rejected>,
}

impl Reader {
    pub fn new(answers: Option<Method>) -> Self {
        Self { answers, buf: BytesMut::new(), decoder: BodyDecoder::Done, current: None, messages: Vec::new(), refused: None }
    }

    pub fn feed(&mut self, part: &[u8]) {
        self.buf.extend_from_slice(part);
        while self.refused.is_none() {
            match self.step() {
                Ok(true) => {}
                Ok(false) => break,
                Err(rejected) => self.refused = Some(rejected),
            }
        }
    }

    /// One head or one piece of a body. False: more bytes are needed.
    fn step(&mut self) -> Result<bool, Rejected> {
        let Some(message) = &mut self.current else { return self.head() };
        let piece = if self.decoder.is_done() { Some(Piece::End) } else { self.decoder.decode(&mut self.buf)? };
        match piece {
            Some(Piece::Data(data)) => message.body.extend_from_slice(&data),
            Some(Piece::Trailers(trailers)) => message.trailers = of_map(&trailers),
            Some(Piece::End) => self.messages.extend(self.current.take()),
            None => return Ok(false),
        }
        Ok(true)
    }

    fn head(&mut self) -> Result<bool, Rejected> {
        let limits = Limits::default();
        let (start, version, headers, framing, upgrade) = match &self.answers {
            None => {
                let Some((head, framing)) = parse_request(&mut self.buf, &limits)? else { return Ok(false) };
                let upgrade = upgrade_requested(&head, framing) || head.method() == Method::CONNECT;
                let start = (head.method().to_string(), target(&head));
                (start, head.version(), head.headers().clone(), framing, upgrade)
            }
            Some(method) => {
                let Some((head, framing)) = parse_response(&mut self.buf, method, &limits)? else { return Ok(false) };
                let said = head.extensions().get::<Reason>().map(|reason| reason.0.to_vec());
                let reason = said.unwrap_or_else(|| head.status().canonical_reason().unwrap_or("").into());
                ((head.status().as_u16().to_string(), reason), head.version(), head.headers().clone(), framing, false)
            }
        };
        self.decoder = BodyDecoder::new(framing, &limits);
        self.current = Some(Message {
            start,
            version: if version == Version::HTTP_10 { "1.0" } else { "1.1" },
            headers: of_map(&headers),
            framing: match framing {
                BodyFraming::None => "none".into(),
                BodyFraming::Length(length) => format!("length {length}"),
                BodyFraming::Chunked => "chunked".into(),
                BodyFraming::UntilClose => "until close".into(),
            },
            body: Vec::new(),
            trailers: Vec::new(),
            keeps: keep_alive(version, &headers) && framing != BodyFraming::UntilClose,
            upgrade,
        });
        Ok(true)
    }

    /// What the stream was, now that it has ended.
    pub fn end(mut self) -> Understood {
        let closed = matches!(self.decoder, BodyDecoder::UntilClose);
        let whole = self.current.is_none() && self.buf.is_empty();
        if closed {
            self.messages.extend(self.current.take());
        }
        let ending = match self.refused {
            Some(why) if self.answers.is_some() => Ending::Refused(502, why.reason.into()),
            Some(why) => Ending::Refused(why.status.as_u16(), why.reason.into()),
            None if whole || closed => Ending::End,
            None => Ending::More,
        };
        (self.messages, ending)
    }
}

/// As it goes on: what is compared with the table is what the next server would see.
fn target(head: &http::Request<()>) -> Vec<u8> {
    let mut line = BytesMut::new();
    encode_request(head, BodyFraming::None, &mut line);
    line.as_ref().split(|byte| *byte == b' ').nth(1).expect("a target").to_vec()
}
