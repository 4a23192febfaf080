//! What must hold for any bytes. The fuzz targets and the tests that replay their corpus call the same functions.

mod hyper;
mod reading;

use ::http::{HeaderMap, Method};
use bytes::BytesMut;
use weft_core::detect::{self, Hello, Kind};
use weft_core::http1::{
    BodyDecoder, BodyFraming, Limits, Piece, Rejected, encode_chunk_size, encode_last_chunk, encode_request, encode_response,
    parse_request, parse_response,
};
use weft_core::transport_header::{Decoded, TransportHeader};

use reading::{Reader, Understood};

/// As [`hyper::hyper`].
pub fn hyper(data: &[u8]) {
    hyper::hyper(data);
}

/// A stream of requests means one thing however it is cut; what is taken is detected as HTTP/1, and written again it means the same.
pub fn http1_request(data: &[u8]) {
    let whole = read(None, [data]);
    for at in cuts(data) {
        assert_eq!(read(None, [&data[..at], &data[at..]]), whole, "cut at byte {at}");
    }
    let Ok(Some((head, framing))) = parse_request(&mut BytesMut::from(data), &Limits::default()) else { return };
    assert!(matches!(detect::http(data), Some(Kind::Http1)), "a request that is taken would pass as bytes");
    let mut written = BytesMut::new();
    encode_request(&head, framing, &mut written);
    let (again, framing_again) = parse_request(&mut written, &Limits::default()).expect("is taken again").expect("is whole");
    assert!(written.is_empty());
    assert_eq!((again.method(), again.uri(), again.version(), framing_again), (head.method(), head.uri(), head.version(), framing));
    assert_eq!(without_framing(again.headers()), without_framing(head.headers()));
}

/// A stream of responses means one thing however it is cut, and written again it means the same.
pub fn http1_response(data: &[u8]) {
    for method in [Method::GET, Method::HEAD, Method::CONNECT] {
        let whole = read(Some(method.clone()), [data]);
        for at in cuts(data) {
            assert_eq!(read(Some(method.clone()), [&data[..at], &data[at..]]), whole, "cut at byte {at}");
        }
        let Ok(Some((head, framing))) = parse_response(&mut BytesMut::from(data), &method, &Limits::default()) else { continue };
        let mut written = BytesMut::new();
        encode_response(&head, framing, &mut written);
        let (again, framing_again) = parse_response(&mut written, &method, &Limits::default()).expect("is taken again").expect("is whole");
        assert_eq!((again.status(), again.version(), framing_again), (head.status(), head.version(), framing));
        assert_eq!(without_framing(again.headers()), without_framing(head.headers()));
    }
}

/// A chunked body means one thing however it is cut, gives out no byte that did not come in, and written again means the same.
pub fn http1_body(data: &[u8]) {
    let whole = chunks([data]);
    for at in cuts(data) {
        assert_eq!(chunks([&data[..at], &data[at..]]), whole, "cut at byte {at}");
    }
    let Ok((body, trailers, Some(rest))) = whole else { return };
    assert!(body.len() + rest.len() <= data.len());
    let mut written = BytesMut::new();
    if !body.is_empty() {
        encode_chunk_size(body.len(), &mut written);
        written.extend_from_slice(&body);
        written.extend_from_slice(weft_core::http1::chunk_end());
    }
    encode_last_chunk(Some(&trailers), &mut written);
    assert_eq!(chunks([&written[..]]), Ok((body, trailers, Some(Vec::new()))));
}

/// What a connection speaks is settled once: more bytes never change the answer.
pub fn detect(data: &[u8]) {
    let (mut kind, mut hello) = (None, Hello::NeedMore);
    for n in (0..=data.len().min(600)).chain([data.len()]) {
        let (now, name) = (detect::http(&data[..n]), detect::client_hello(&data[..n]));
        assert!(kind.is_none() || kind == now, "the kind changed at byte {n}");
        assert!(hello == Hello::NeedMore || hello == name, "the name changed at byte {n}");
        (kind, hello) = (now, name);
    }
}

/// A transport header is read once it is whole and not before, and written again it is the same.
pub fn transport_header(data: &[u8]) {
    // Every other input is a body, so that the fuzzer need not find the preface and the length.
    let framed = match data.split_first() {
        Some((0, body)) => {
            [weft_core::transport_header::PREFACE, &u32::try_from(body.len()).expect("a short input").to_be_bytes(), body].concat()
        }
        _ => data.to_vec(),
    };
    match TransportHeader::decode(&framed) {
        Decoded::Header(header, used) => {
            for n in (0..used).step_by(1 + used / 64).chain([used - 1]) {
                assert_eq!(TransportHeader::decode(&framed[..n]), Decoded::NeedMore);
            }
            assert_eq!(TransportHeader::decode(&framed[..used]), Decoded::Header(header.clone(), used));
            if header.name.as_ref().is_none_or(|name| name.len() < 4096) {
                let written = header.encode();
                assert_eq!(TransportHeader::decode(&written), Decoded::Header(header, written.len()));
            }
        }
        Decoded::NeedMore => assert!(framed.len() < weft_core::transport_header::PREFACE.len() + 4 + (8 << 10)),
        Decoded::Absent | Decoded::Invalid(_) => {}
    }
}

fn read<'a>(answers: Option<Method>, parts: impl IntoIterator<Item = &'a [u8]>) -> Understood {
    let mut reader = Reader::new(answers);
    for part in parts {
        reader.feed(part);
    }
    reader.end()
}

/// Body, trailers and, once they have ended, the bytes behind them.
type Chunks = Result<(Vec<u8>, HeaderMap, Option<Vec<u8>>), Rejected>;

fn chunks<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Chunks {
    let mut decoder = BodyDecoder::new(BodyFraming::Chunked, &Limits::default());
    let (mut buf, mut body, mut trailers) = (BytesMut::new(), Vec::new(), HeaderMap::new());
    for part in parts {
        buf.extend_from_slice(part);
        while !decoder.is_done() {
            match decoder.decode(&mut buf)? {
                Some(Piece::Data(data)) => body.extend_from_slice(&data),
                Some(Piece::Trailers(fields)) => trailers = fields,
                Some(Piece::End) => {}
                None => break,
            }
        }
    }
    let rest = decoder.is_done().then(|| buf.to_vec());
    Ok((body, trailers, rest))
}

/// A few places to cut at, which depend on the bytes.
fn cuts(data: &[u8]) -> impl Iterator<Item = usize> {
    let seed = data.iter().fold(7usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let length = data.len();
    (0..6usize).filter(move |_| length > 0).map(move |n| seed.rotate_left(n as u32 * 9) % length)
}

/// The framing fields are written anew from the framing that was decided.
fn without_framing(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers.remove("content-length");
    headers.remove("transfer-encoding");
    headers
}
