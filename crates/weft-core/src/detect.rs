//! Which protocol a connection speaks, told from its first bytes.
//!
//! Decides at the first byte that settles it, however the bytes were cut into reads: a client that sends eight bytes and waits must
//! not be kept waiting for a ninth. It never reads a socket and keeps nothing: the caller shows all bytes that have come so far and
//! reads on as long as the answer is "more".

/// What the bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Http1,
    Http2,
    /// TLS that is not ours to terminate.
    Tls {
        sni: Option<String>,
    },
    Opaque,
}

/// What the bytes are as TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    NeedMore,
    NotTls,
    /// A whole ClientHello, and the server name in it, in lower case.
    Sni(Option<String>),
}

/// Tells HTTP from everything else. `None`: more bytes are needed.
///
/// HTTP/1 is a request line up to `HTTP/1.`: any token as method, lower case too, one space, a target without spaces. Empty lines
/// before it are skipped (RFC 9112, 2.2). HTTP/2 is the first line of the client preface.
pub fn http(bytes: &[u8]) -> Option<Kind> {
    if let Some(kind) = http2(bytes) {
        return kind;
    }
    let mut line = bytes;
    while let Some(rest) = line.strip_prefix(b"\r\n") {
        line = rest;
    }
    if bytes.len() - line.len() > EMPTY_LINES {
        return Some(Kind::Opaque);
    }
    if line.is_empty() || line == b"\r" {
        return None;
    }
    request_line(line)
}

/// Finds the server name of a ClientHello that may be spread over records and reads.
///
/// Gives up (`NotTls`) past [`HELLO_LIMIT`]; a ClientHello that is malformed inside is not TLS either.
pub fn client_hello(bytes: &[u8]) -> Hello {
    let mut message = Vec::new();
    let mut rest = bytes;
    loop {
        // handshake(22), version 3.x; each byte is judged as soon as it is there.
        let plausible = [|b| b == 22, |b| b == 3, |b| b <= 4];
        if rest.iter().zip(plausible).any(|(byte, ok): (&u8, fn(u8) -> bool)| !ok(*byte)) {
            return Hello::NotTls;
        }
        let Some((header, body)) = rest.split_at_checked(5) else { break };
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if length == 0 || length > RECORD_LIMIT {
            return Hello::NotTls;
        }
        let taken = length.min(body.len());
        message.extend_from_slice(&body[..taken]);
        match hello_message(&message) {
            Hello::NeedMore => {}
            settled => return settled,
        }
        if taken < length {
            break;
        }
        rest = &body[length..];
    }
    if bytes.len() >= HELLO_LIMIT { Hello::NotTls } else { Hello::NeedMore }
}

/// `Some(None)` while the bytes are a beginning of the preface and nothing else can be said.
fn http2(bytes: &[u8]) -> Option<Option<Kind>> {
    let n = bytes.len().min(PREFACE_LINE.len());
    if bytes[..n] != PREFACE_LINE[..n] {
        return None;
    }
    Some((n == PREFACE_LINE.len()).then_some(Kind::Http2))
}

fn request_line(line: &[u8]) -> Option<Kind> {
    let end = line.iter().position(|b| !is_token(*b)).unwrap_or(line.len());
    if end == 0 || end > METHOD_LIMIT {
        return Some(Kind::Opaque);
    }
    match line.get(end) {
        None => return None,
        Some(b' ') => {}
        Some(_) => return Some(Kind::Opaque),
    }
    let (method, target) = (&line[..end], &line[end + 1..]);
    let end = target.iter().position(|b| *b <= b' ' || *b == 0x7f).unwrap_or(target.len());
    if end > TARGET_LIMIT {
        // Nothing else begins so; as HTTP it gets an answer (414).
        let request = matches!(method, b"GET" | b"HEAD" | b"POST" | b"PUT" | b"DELETE" | b"OPTIONS" | b"PATCH");
        return Some(if request && target[0] == b'/' { Kind::Http1 } else { Kind::Opaque });
    }
    match target.get(end) {
        None => return None,
        Some(b' ') if end > 0 => {}
        Some(_) => return Some(Kind::Opaque),
    }
    let version = &target[end + 1..];
    let n = version.len().min(VERSION.len());
    if version[..n] != VERSION[..n] {
        return Some(Kind::Opaque);
    }
    (n == VERSION.len()).then_some(Kind::Http1)
}

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// Judges the handshake message that the records carry, as far as it is there.
fn hello_message(message: &[u8]) -> Hello {
    if message.first().is_some_and(|kind| *kind != 1) {
        return Hello::NotTls;
    }
    let Some((header, body)) = message.split_at_checked(4) else { return Hello::NeedMore };
    let length = usize::from(header[1]) << 16 | usize::from(header[2]) << 8 | usize::from(header[3]);
    if length > HELLO_LIMIT {
        return Hello::NotTls;
    }
    match body.get(..length) {
        None => Hello::NeedMore,
        Some(body) => server_name(body).map_or(Hello::NotTls, Hello::Sni),
    }
}

/// Reads a whole ClientHello (RFC 8446, 4.1.2). `None`: malformed.
fn server_name(mut hello: &[u8]) -> Option<Option<String>> {
    take(&mut hello, 2 + 32)?;
    vector(&mut hello, 1)?; // session id
    vector(&mut hello, 2)?; // cipher suites
    vector(&mut hello, 1)?; // compression methods
    if hello.is_empty() {
        return Some(None);
    }
    let mut extensions = vector(&mut hello, 2)?;
    while !extensions.is_empty() {
        let kind = take(&mut extensions, 2)?;
        let mut body = vector(&mut extensions, 2)?;
        if kind != [0, 0] {
            continue;
        }
        let mut names = vector(&mut body, 2)?;
        while !names.is_empty() {
            let kind = take(&mut names, 1)?;
            let name = vector(&mut names, 2)?;
            if kind == [0] {
                let valid = !name.is_empty() && name.iter().all(|b| b.is_ascii_graphic());
                return valid.then(|| Some(String::from_utf8_lossy(name).to_ascii_lowercase()));
            }
        }
    }
    Some(None)
}

fn take<'a>(input: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (taken, rest) = input.split_at_checked(n)?;
    *input = rest;
    Some(taken)
}

/// A vector with a length of `size` bytes in front.
fn vector<'a>(input: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let length = take(input, size)?.iter().fold(0, |n, b| n << 8 | usize::from(*b));
    take(input, length)
}

/// Bytes of a ClientHello, with its record headers, that are looked at.
pub const HELLO_LIMIT: usize = 16 * 1024;
/// Bytes of a request target that are looked at: no request whose line is taken is missed.
pub const TARGET_LIMIT: usize = 32 * 1024;
const RECORD_LIMIT: usize = 16 * 1024;
/// Characters of a method. What is longer is no HTTP here, and refused by the codec.
pub const METHOD_LIMIT: usize = 32;
const EMPTY_LINES: usize = 8;
const PREFACE_LINE: &[u8] = b"PRI * HTTP/2.0";
const VERSION: &[u8] = b"HTTP/1.";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Requirement: each kind is told at the first byte that settles it, not before and not later.
    #[test]
    fn kinds_are_told_at_the_byte_that_settles_them() {
        for (bytes, at, kind) in [
            (&b"GET / HTTP/1.1\r\n"[..], 13, Kind::Http1),
            (b"\r\nGET / HTTP/1.0\r\n", 15, Kind::Http1),
            (b"get http://a/b?c HTTP/1.1\r\n", 24, Kind::Http1),
            (b"M-SEARCH * HTTP/1.1\r\n", 18, Kind::Http1),
            (b"CONNECT a:443 HTTP/1.1\r\n", 21, Kind::Http1),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 14, Kind::Http2),
            (b"PRI * HTTP/1.1\r\n", 13, Kind::Http1),
            (b"PRICE /x HTTP/1.1\r\n", 16, Kind::Http1),
            (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", 1, Kind::Opaque), // psql asks for TLS and waits
            (b"*1\r\n$4\r\nPING\r\n", 3, Kind::Opaque),             // redis
            (b"PING\r\n", 5, Kind::Opaque),
            (b"EHLO mail.example\r\n", 18, Kind::Opaque),
            (b"SSH-2.0-OpenSSH_9.6\r\n", 20, Kind::Opaque),
            (b"GET /\r\n", 6, Kind::Opaque), // HTTP/0.9
            (b"GET  / HTTP/1.1\r\n", 5, Kind::Opaque),
            (b"GET / HTTP/2.0\r\n", 12, Kind::Opaque),
            (b"GET / FTP/1.0", 7, Kind::Opaque),
            (b"get key\r\n", 8, Kind::Opaque), // memcached
            (b"\n", 1, Kind::Opaque),
            (b"\x16\x03\x01", 1, Kind::Opaque),
        ] {
            for n in 0..at {
                assert_eq!(http(&bytes[..n]), None, "{} after {n} bytes", bytes.escape_ascii());
            }
            for n in at..=bytes.len() {
                assert_eq!(http(&bytes[..n]), Some(kind.clone()), "{} after {n} bytes", bytes.escape_ascii());
            }
        }
    }

    /// Requirement: detection ends, however long the line is; a long request of a known kind is answered, not passed on as bytes.
    #[test]
    fn long_beginnings_are_bounded() {
        assert_eq!(http(&[b'A'; METHOD_LIMIT + 1]), Some(Kind::Opaque));
        assert_eq!(http(&[b"\r\n".repeat(5)].concat()), Some(Kind::Opaque));
        let long = vec![b'/'; TARGET_LIMIT + 1];
        assert_eq!(http(&[b"GET ", &long[..]].concat()), Some(Kind::Http1));
        assert_eq!(http(&[b"SET ", &long[..]].concat()), Some(Kind::Opaque));
    }

    fn hello(name: Option<&str>, padding: usize) -> Vec<u8> {
        fn vector(size: usize, body: &[u8]) -> Vec<u8> {
            [&(body.len() as u32).to_be_bytes()[4 - size..], body].concat()
        }
        let mut extensions = [&[0, 21][..], &vector(2, &vec![0; padding])].concat();
        if let Some(name) = name {
            let entry = [&[0][..], &vector(2, name.as_bytes())].concat();
            extensions.extend([&[0, 0][..], &vector(2, &vector(2, &entry))].concat());
        }
        let body =
            [&[3, 3][..], &[7; 32], &vector(1, &[9; 32]), &vector(2, &[0x13, 1]), &vector(1, &[0]), &vector(2, &extensions)].concat();
        [&[1][..], &vector(3, &body)].concat()
    }

    fn records(message: &[u8], size: usize) -> Vec<u8> {
        message.chunks(size).flat_map(|part| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat()).collect()
    }

    /// Requirement: what is not TLS, or never ends, is said so; a name that is no name is refused.
    #[test]
    fn what_is_not_a_client_hello() {
        for bytes in [&b"GET / "[..], b"\x16\x02", b"\x16\x03\x09", b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\x00\x05\x02", b"\x15\x03\x03"] {
            assert_eq!(client_hello(bytes), Hello::NotTls, "{}", bytes.escape_ascii());
        }
        assert_eq!(client_hello(b""), Hello::NeedMore);
        assert_eq!(client_hello(b"\x16\x03\x01\x00\x05\x01"), Hello::NeedMore);
        assert_eq!(client_hello(&records(&hello(Some("a b"), 0), 100)), Hello::NotTls);
        assert_eq!(client_hello(&records(&hello(Some("a"), HELLO_LIMIT), 9000)), Hello::NotTls);
        assert_eq!(client_hello(&records(&hello(None, 0), 100)), Hello::Sni(None));
    }

    proptest! {
        /// Requirement: records and reads may be cut anywhere; the name comes out once the last byte is there and not before.
        #[test]
        fn a_server_name_survives_every_cut(name in "[a-z0-9.-]{1,60}", size in 1_usize..400, padding in 0_usize..1500) {
            let bytes = records(&hello(Some(&name.to_uppercase()), padding), size);
            prop_assume!(bytes.len() < HELLO_LIMIT);
            for n in (0..bytes.len()).step_by(1 + bytes.len() / 97).chain([bytes.len() - 1]) {
                prop_assert_eq!(client_hello(&bytes[..n]), Hello::NeedMore);
            }
            prop_assert_eq!(client_hello(&bytes), Hello::Sni(Some(name)));
        }

        /// Requirement: any bytes get an answer, and an answer once given does not change when more bytes come.
        #[test]
        fn answers_are_final(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b' '), Just(b'H'), Just(22), Just(3)], 0..80)) {
            let (mut kind, mut tls) = (None, Hello::NeedMore);
            for n in 0..=bytes.len() {
                let (now, hello) = (http(&bytes[..n]), client_hello(&bytes[..n]));
                prop_assert!(kind.is_none() || kind == now);
                prop_assert!(tls == Hello::NeedMore || tls == hello);
                (kind, tls) = (now, hello);
            }
        }
    }
}
