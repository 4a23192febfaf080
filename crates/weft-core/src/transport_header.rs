//! The header in front of meshed bytes (`transport.l5d.io/v1`): which port of the target is meant, and under which name.
//!
//! Encodes and decodes, whatever the reads were. It never decides whether a header is demanded or obeyed: `transport` does.

/// What the client's proxy says about the bytes that follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportHeader {
    /// The application's port.
    pub port: u16,
    /// An authority (`name:port`) for gateways; none in the ordinary case.
    pub name: Option<String>,
    pub protocol: Option<SessionProtocol>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionProtocol {
    Http1,
    Http2,
}

/// The answer to the bytes read so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    NeedMore,
    /// The bytes do not begin with the preface.
    Absent,
    /// Begins as a header and is none; the reason.
    Invalid(&'static str),
    /// The header, and how many bytes it took.
    Header(TransportHeader, usize),
}

impl TransportHeader {
    /// The bytes to write before everything else. A name longer than the peer would read is left out.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(32);
        body.push(1 << 3);
        put_varint(&mut body, u64::from(self.port));
        if let Some(name) = self.name.as_ref().filter(|name| !name.is_empty() && name.len() <= NAME_LIMIT) {
            body.push(2 << 3 | LENGTH_DELIMITED);
            put_varint(&mut body, name.len() as u64);
            body.extend_from_slice(name.as_bytes());
        }
        if let Some(protocol) = self.protocol {
            let field = match protocol {
                SessionProtocol::Http1 => 1,
                SessionProtocol::Http2 => 2,
            };
            body.extend_from_slice(&[3 << 3 | LENGTH_DELIMITED, 2, field << 3 | LENGTH_DELIMITED, 0]);
        }
        [PREFACE, &(body.len() as u32).to_be_bytes(), &body].concat()
    }

    /// Judges the bytes read so far; the body may be up to [`BODY_LIMIT`] bytes.
    pub fn decode(bytes: &[u8]) -> Decoded {
        let n = bytes.len().min(PREFACE.len());
        if bytes[..n] != PREFACE[..n] {
            return Decoded::Absent;
        }
        let Some(length) = bytes.get(PREFACE.len()..PREFACE.len() + 4) else { return Decoded::NeedMore };
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        if length > BODY_LIMIT {
            return Decoded::Invalid("the transport header is longer than 8192 bytes");
        }
        let end = PREFACE.len() + 4 + length;
        match bytes.get(PREFACE.len() + 4..end) {
            None => Decoded::NeedMore,
            Some(body) => match decode_body(body) {
                Ok(header) => Decoded::Header(header, end),
                Err(reason) => Decoded::Invalid(reason),
            },
        }
    }
}

fn decode_body(body: &[u8]) -> Result<TransportHeader, &'static str> {
    let (mut port, mut name, mut protocol) = (0, None, None);
    fields(body, |field| {
        match field {
            (1, Value::Number(n)) => port = n,
            (2, Value::Bytes(text)) => name = Some(std::str::from_utf8(text).map_err(|_| "the transport header's name is not UTF-8")?),
            (3, Value::Bytes(session)) => fields(session, |field| {
                match field {
                    (1, Value::Bytes(_)) => protocol = Some(SessionProtocol::Http1),
                    (2, Value::Bytes(_)) => protocol = Some(SessionProtocol::Http2),
                    _ => {}
                }
                Ok(())
            })?,
            (1..=3, _) => return Err("a field of the transport header has the wrong type"),
            _ => {}
        }
        Ok(())
    })?;
    let port = u16::try_from(port).ok().filter(|port| *port != 0).ok_or("the transport header's port is not a port")?;
    Ok(TransportHeader { port, name: name.filter(|name| !name.is_empty()).map(str::to_owned), protocol })
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// Walks over the fields of a protobuf message.
fn fields<'a>(mut body: &'a [u8], mut each: impl FnMut((u64, Value<'a>)) -> Result<(), &'static str>) -> Result<(), &'static str> {
    const CUT: &str = "the transport header is malformed";
    while !body.is_empty() {
        let key = varint(&mut body).ok_or(CUT)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut body).ok_or(CUT)?),
            kind @ (1 | 5) => {
                body = body.get(if kind == 1 { 8 } else { 4 }..).ok_or(CUT)?;
                Value::Other
            }
            2 => {
                let length = usize::try_from(varint(&mut body).ok_or(CUT)?).map_err(|_| CUT)?;
                let (value, rest) = body.split_at_checked(length).ok_or(CUT)?;
                body = rest;
                Value::Bytes(value)
            }
            _ => return Err(CUT),
        };
        if key >> 3 == 0 {
            return Err(CUT);
        }
        each((key >> 3, value))?;
    }
    Ok(())
}

fn varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = input.split_first()?;
        *input = rest;
        if shift == 63 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The first bytes of a connection that carries a header.
pub const PREFACE: &[u8] = b"transport.l5d.io/v1\r\n\r\n";
/// The ALPN protocol under which a header is expected.
pub const ALPN: &[u8] = b"transport.l5d.io/v1";
/// Most bytes of a header's body.
pub const BODY_LIMIT: usize = 8 * 1024;
const NAME_LIMIT: usize = 4 * 1024;
const LENGTH_DELIMITED: u8 = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Requirement: the bytes are those that the published message has.
    #[test]
    fn the_bytes_are_the_published_ones() {
        let header = TransportHeader { port: 8080, name: Some("a:1".into()), protocol: Some(SessionProtocol::Http2) };
        let body = b"\x08\x90\x3f\x12\x03a:1\x1a\x02\x12\x00";
        assert_eq!(header.encode(), [PREFACE, &[0, 0, 0, body.len() as u8], body].concat());
    }

    /// Requirement: what is no header is told apart from a header that is wrong, and size is bounded before memory is used.
    #[test]
    fn wrong_headers_are_named() {
        let with = |body: &[u8]| TransportHeader::decode(&[PREFACE, &(body.len() as u32).to_be_bytes(), body].concat());
        assert_eq!(TransportHeader::decode(b"PRI * HTTP"), Decoded::Absent);
        assert!(matches!(with(b""), Decoded::Invalid(_)), "no port");
        assert!(matches!(with(b"\x08\x00"), Decoded::Invalid(_)), "port 0");
        assert!(matches!(with(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), Decoded::Invalid(_)), "port -1");
        assert!(matches!(with(b"\x08\x50\x12\x05ab"), Decoded::Invalid(_)), "cut name");
        assert!(matches!(with(b"\x0a\x01a"), Decoded::Invalid(_)), "port as bytes");
        let huge = [PREFACE, &(BODY_LIMIT as u32 + 1).to_be_bytes()].concat();
        assert!(matches!(TransportHeader::decode(&huge), Decoded::Invalid(_)));
    }

    proptest! {
        /// Requirement: what was written is read again, whatever follows, wherever it is cut, with unknown fields in it.
        #[test]
        fn round_trip(port in 1_u16.., name in prop::option::of("[a-z.:0-9]{1,40}"), which in 0_usize..3, tail in prop::collection::vec(any::<u8>(), 0..20)) {
            let protocol = [None, Some(SessionProtocol::Http1), Some(SessionProtocol::Http2)][which];
            let header = TransportHeader { port, name, protocol };
            let bytes = header.encode();
            for n in 0..bytes.len() {
                prop_assert_eq!(TransportHeader::decode(&bytes[..n]), Decoded::NeedMore);
            }
            prop_assert_eq!(TransportHeader::decode(&[&bytes[..], &tail].concat()), Decoded::Header(header.clone(), bytes.len()));
            let body = [&bytes[PREFACE.len() + 4..], b"\xfa\x07\x02hi\xf8\x07\x96\x01\xfd\x070000"].concat();
            let newer = [PREFACE, &(body.len() as u32).to_be_bytes(), &body].concat();
            prop_assert_eq!(TransportHeader::decode(&newer), Decoded::Header(header, newer.len()));
        }

        /// Requirement: no bytes make it panic.
        #[test]
        fn any_body_is_answered(body in prop::collection::vec(any::<u8>(), 0..60)) {
            TransportHeader::decode(&[PREFACE, &(body.len() as u32).to_be_bytes(), &body].concat());
        }
    }
}
