//! The decisions as tables, the paragraph of the RFC beside each row, and the properties that hold for any input.

use bytes::BytesMut;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use proptest::prelude::*;

use super::*;

fn request(text: &str) -> Result<Option<(Request<()>, BodyFraming)>, Rejected> {
    parse_request(&mut BytesMut::from(text), &Limits::default())
}

fn response(method: &Method, text: &str) -> Result<Option<(Response<()>, BodyFraming)>, Rejected> {
    parse_response(&mut BytesMut::from(text), method, &Limits::default())
}

/// Requirement: these requests mean one thing, and it is understood.
#[test]
fn requests_that_are_taken() {
    use BodyFraming::{Chunked, Length, None};
    #[rustfmt::skip]
    let table: &[(&str, &str, BodyFraming)] = &[
        // head                                                                                target        framing       paragraph
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n",                                                   "/",          None),       // 9112 §3.2.1
        ("GET /?q=%7e~ HTTP/1.1\r\nhost: a\r\n\r\n",                                            "/?q=%7e~",   None),       // 9112 §3: not normalised
        ("GET //b/../c HTTP/1.1\r\nhost: a\r\n\r\n",                                            "//b/../c",   None),       // 9112 §3.2.1
        ("GET http://a/b HTTP/1.1\r\nhost: a\r\n\r\n",                                          "http://a/b", None),       // 9112 §3.2.2
        ("GET http://a:80/b HTTP/1.1\r\nhost: A\r\n\r\n",                                       "http://a:80/b", None),    // 9110 §4.2.3: default port
        ("CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n",                                       "a:443",      None),       // 9112 §3.2.3
        ("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",                                               "*",          None),       // 9112 §3.2.4
        ("GET / HTTP/1.0\r\n\r\n",                                                              "/",          None),       // 9112 §3.2: host from 1.1 on
        ("GET / HTTP/1.1\r\nhost:\r\n\r\n",                                                     "/",          None),       // 9112 §3.2: empty host
        ("GET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n",                                            "/",          None),       // 9110 §7.2
        ("\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",                                               "/",          None),       // 9112 §2.2: one empty line
        ("M-SEARCH / HTTP/1.1\r\nhost: a\r\n\r\n",                                              "/",          None),       // 9110 §16.1: unknown method
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",                             "/",          Length(0)),  // 9112 §6.2
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 007\r\n\r\n",                           "/",          Length(7)),  // 9110 §8.6: 1*DIGIT
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551615\r\n\r\n",          "/",          Length(u64::MAX)),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n",                    "/",          Chunked),    // 9112 §7: case-insensitive
    ];
    for (text, target, framing) in table {
        let (head, found) = request(text).unwrap_or_else(|why| panic!("{text:?}: {why}")).expect(text);
        assert_eq!((head.uri().to_string().as_str(), found), (*target, *framing), "{text:?}");
    }
}

/// Requirement: whatever two readers could understand differently is refused, with a status and a reason.
#[test]
fn requests_that_are_refused() {
    #[rustfmt::skip]
    let table: &[(&[u8], u16, &str)] = &[
        // framing: 9112 §6.1, §6.3; 9110 §8.6
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400, "both transfer-encoding and content-length"),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n", 400, "both transfer-encoding and content-length"),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",           400, "repeated content-length"),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 1\r\n\r\n",                             400, "content-length is not one decimal number"),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\n",                               400, "content-length is not one decimal number"),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0x1\r\n\r\n",                              400, "content-length is not one decimal number"),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length:\r\n\r\n",                                  400, "content-length is not one decimal number"),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551616\r\n\r\n",             400, "content-length is not one decimal number"),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n",                 400, "transfer-encoding other than exactly chunked"),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity\r\n\r\n",                      400, "transfer-encoding other than exactly chunked"),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n", 400, "transfer-encoding other than exactly chunked"),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \x0bchunked\r\n\r\n",                   400, "control character in a field value"),
        (b"POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",                       400, "transfer-encoding in http/1.0"),
        (b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n",                           400, "a body in connect"), // 9110 §9.3.6
        // line ends and white space: 9112 §2.2, §5.1, §5.2
        (b"GET / HTTP/1.1\nhost: a\r\n\r\n",                                                        400, "a line ends with a bare lf"),
        (b"GET / HTTP/1.1\r\nhost: a\n\r\n",                                                        400, "a line ends with a bare lf"),
        (b"GET / HTTP/1.1\r\nhost: a\r\n\n",                                                        400, "a line ends with a bare lf"),
        (b"\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",                                                    400, "a line ends with a bare lf"),
        (b"\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",                                              400, "an empty line instead of a head"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n",                                           400, "a bare cr"),
        (b"GET / HTTP/1.1\r\nhost: a\r\r\n\r\n",                                                    400, "a bare cr"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n",                                        400, "a line begins with white space (obsolete folding)"),
        (b"GET / HTTP/1.1\r\n host: a\r\n\r\n",                                                     400, "a line begins with white space (obsolete folding)"),
        (b"GET / HTTP/1.1\r\nhost : a\r\n\r\n",                                                     400, "malformed field name"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx\r\n\r\n",                                                 400, "malformed field name"),
        (b"GET / HTTP/1.1\r\nhost: a\r\n: x\r\n\r\n",                                               400, "malformed field name"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n",                                             400, "control character in a field value"), // 9110 §5.5
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: \x7f\r\n\r\n",                                           400, "control character in a field value"),
        // request line: 9112 §2.3, §3
        (b"GET  / HTTP/1.1\r\nhost: a\r\n\r\n",                                                     400, "malformed request line"),
        (b"GET /\r\nhost: a\r\n\r\n",                                                               400, "malformed request line"),
        (b"GET / HTTP/2.0\r\nhost: a\r\n\r\n",                                                      400, "version is neither http/1.0 nor http/1.1"),
        (b"GET / HTTP/1.2\r\nhost: a\r\n\r\n",                                                      400, "version is neither http/1.0 nor http/1.1"),
        (b"GET / http/1.1\r\nhost: a\r\n\r\n",                                                      400, "version is neither http/1.0 nor http/1.1"),
        (b"GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n",                                                   400, "a fragment in the request target"),
        (b"GET a HTTP/1.1\r\nhost: a\r\n\r\n",                                                      400, "malformed request target"),
        (b"GET * HTTP/1.1\r\nhost: a\r\n\r\n",                                                      400, "the target * is for options only"),
        (b"GET http://u@a/ HTTP/1.1\r\nhost: a\r\n\r\n",                                            400, "malformed request target"), // 9110 §4.2.4
        (b"CONNECT /a HTTP/1.1\r\nhost: a\r\n\r\n",                                                 400, "the target of connect is not host:port"),
        (b"CONNECT a HTTP/1.1\r\nhost: a\r\n\r\n",                                                  400, "the target of connect is not host:port"),
        // host: 9112 §3.2
        (b"GET / HTTP/1.1\r\n\r\n",                                                                 400, "no host"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",                                           400, "more than one host"),
        (b"GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n",                                           400, "more than one host"),
        (b"GET / HTTP/1.1\r\nhost: a b\r\n\r\n",                                                    400, "malformed host"),
        (b"GET / HTTP/1.1\r\nhost: u@a\r\n\r\n",                                                    400, "malformed host"),
        (b"GET / HTTP/1.1\r\nhost: a/b\r\n\r\n",                                                    400, "malformed host"),
        (b"GET http://a/ HTTP/1.1\r\nhost: b\r\n\r\n",                                              400, "host differs from the request target"),
    ];
    for (text, status, reason) in table {
        let shown = String::from_utf8_lossy(text);
        let rejected = parse_request(&mut BytesMut::from(*text), &Limits::default()).expect_err(&shown);
        assert_eq!((rejected.status.as_u16(), rejected.reason), (*status, *reason), "{shown:?}");
    }
}

/// Requirement: 414 for a request line and 431 for a head or a number of fields beyond the limit, complete or not.
#[test]
fn heads_beyond_the_limits() {
    let limits = Limits { request_line: 64, head: 256, headers: 4 };
    let fields = |count: usize| "x: y\r\n".repeat(count);
    let table = [
        (format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(60)), 414),
        (format!("GET /{}", "a".repeat(60)), 414),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", fields(4)), 431),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{}", fields(5)), 431),
        (format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "a".repeat(256)), 431),
        (format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", "a".repeat(256)), 431),
    ];
    for (text, status) in table {
        let rejected = parse_request(&mut BytesMut::from(text.as_str()), &limits).expect_err(&text);
        assert_eq!(rejected.status.as_u16(), status, "{text:?}");
    }
    let most = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", fields(3));
    assert!(matches!(parse_request(&mut BytesMut::from(most.as_str()), &limits), Ok(Some(_))));
}

/// Requirement: a response's length follows from its head, its status and the method that asked (RFC 9112 §6.3).
#[test]
fn responses() {
    use BodyFraming::{Chunked, Length, None, UntilClose};
    let (get, head, connect) = (Method::GET, Method::HEAD, Method::CONNECT);
    #[rustfmt::skip]
    let table: &[(&Method, &str, Result<BodyFraming, &str>)] = &[
        (&get,     "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n",                       Ok(Length(3))),  // rule 6
        (&get,     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",              Ok(Chunked)),    // rule 4
        (&get,     "HTTP/1.1 200 OK\r\n\r\n",                                            Ok(UntilClose)), // rule 8
        (&get,     "HTTP/1.0 200 OK\r\n\r\n",                                            Ok(UntilClose)),
        (&get,     "HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n",                          Ok(Length(0))),  // §4: empty reason
        (&head,    "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n",                       Ok(None)),       // rule 1
        (&head,    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",              Ok(None)),
        (&get,     "HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\n\r\n",             Ok(None)),
        (&get,     "HTTP/1.1 204 No Content\r\n\r\n",                                    Ok(None)),
        (&get,     "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",               Ok(None)),
        (&get,     "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n",                        Ok(None)),
        (&get,     "HTTP/1.1 101 Switching Protocols\r\n\r\n",                           Ok(None)),
        (&connect, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",              Ok(None)),       // rule 2: ignored
        (&connect, "HTTP/1.1 403 No\r\ncontent-length: 3\r\n\r\n",                       Ok(Length(3))),
        (&get,     "HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\n",               Err("a body in a response that cannot have one")),
        (&get,     "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n",      Err("a body in a response that cannot have one")), // §6.1
        (&get,     "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\n",  Err("repeated content-length")), // rule 5
        (&get,     "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n", Err("both transfer-encoding and content-length")),
        (&get,     "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",              Err("transfer-encoding in http/1.0")),
        (&head,    "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",                       Err("content-length is not one decimal number")),
        (&get,     "\r\nHTTP/1.1 200 OK\r\n\r\n",                                        Err("an empty line instead of a head")), // §2.2 is for requests
        (&get,     "HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n",                              Err("a line begins with white space (obsolete folding)")),
        (&get,     "HTTP/1.1 200 OK\nx: a\r\n\r\n",                                      Err("a line ends with a bare lf")),
        (&get,     "HTTP/1.1 20x OK\r\n\r\n",                                            Err("malformed status line")),
    ];
    for (method, text, expected) in table {
        match (response(method, text), expected) {
            (Ok(Some((_, framing))), Ok(expected)) => assert_eq!(framing, *expected, "{text:?}"),
            (Err(rejected), Err(reason)) => assert_eq!((rejected.status.as_u16(), rejected.reason), (502, *reason), "{text:?}"),
            (found, _) => panic!("{text:?}: {found:?}"),
        }
    }
}

/// Requirement: whether a connection lasts (RFC 9112 §9.3).
#[test]
fn connections_that_last() {
    #[rustfmt::skip]
    let table = [
        ("HTTP/1.1", "",                                            true),
        ("HTTP/1.1", "connection: close\r\n",                       false),
        ("HTTP/1.1", "connection: x, CLOSE\r\n",                    false),
        ("HTTP/1.1", "connection: x\r\nconnection: close\r\n",      false),
        ("HTTP/1.1", "connection: closed\r\n",                      true),
        ("HTTP/1.0", "",                                            false),
        ("HTTP/1.0", "connection: Keep-Alive\r\n",                  true),
        ("HTTP/1.0", "connection: keep-alive, close\r\n",           false),
    ];
    for (version, fields, expected) in table {
        let (head, _) = request(&format!("GET / {version}\r\nhost: a\r\n{fields}\r\n")).unwrap().unwrap();
        assert_eq!(keep_alive(head.version(), head.headers()), expected, "{version} {fields:?}");
    }
}

/// Requirement: an upgrade is one that RFC 9110 §7.8 allows, and never to h2c, behind which policy would be blind.
#[test]
fn upgrades() {
    #[rustfmt::skip]
    let table = [
        ("GET / HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\r\n",             true),
        ("GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\n\r\n",                                                false),
        ("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\n\r\n",                                               false),
        ("GET / HTTP/1.0\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",                         false),
        ("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\r\n",               false),
        ("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket, H2C\r\n\r\n",                    false),
        ("POST / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 1\r\n\r\n",   false),
    ];
    for (text, expected) in table {
        let (head, framing) = request(text).unwrap().unwrap();
        assert_eq!(upgrade_requested(&head, framing), expected, "{text:?}");
    }
}

/// Requirement: fields of one hop end at that hop, those that `connection` names too, except those it has no say over (RFC 9110 §7.6.1).
#[test]
fn fields_of_one_hop() {
    let (mut head, _) = request(concat!(
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: x-one, keep-alive, host, te, content-length\r\nx-one: 1\r\nx-two: 2\r\nkeep-alive: 5\r\n",
        "proxy-connection: x\r\nte: gzip, trailers\r\nupgrade: y\r\ncontent-length: 0\r\n\r\n"
    ))
    .unwrap()
    .unwrap();
    strip_hop_by_hop(head.headers_mut(), false);
    let mut left: Vec<_> = head.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    left.sort();
    assert_eq!(left, ["content-length: 0", "host: a", "te: trailers", "x-two: 2"]);
}

fn chunks(text: &[u8]) -> Result<(Vec<u8>, HeaderMap, Vec<u8>), Rejected> {
    decode_all(BodyFraming::Chunked, &[text])
}

/// Data, trailers and the bytes behind the body.
fn decode_all(framing: BodyFraming, parts: &[&[u8]]) -> Result<(Vec<u8>, HeaderMap, Vec<u8>), Rejected> {
    let mut decoder = BodyDecoder::new(framing, &Limits::default());
    let (mut buf, mut data, mut trailers) = (BytesMut::new(), Vec::new(), HeaderMap::new());
    for part in parts {
        buf.extend_from_slice(part);
        while !decoder.is_done() {
            match decoder.decode(&mut buf)? {
                Some(Piece::Data(piece)) => data.extend_from_slice(&piece),
                Some(Piece::Trailers(fields)) => trailers = fields,
                Some(Piece::End) => assert!(decoder.is_done()),
                None => break,
            }
        }
    }
    assert!(decoder.is_done() || matches!(framing, BodyFraming::UntilClose), "the body did not end");
    Ok((data, trailers, buf.to_vec()))
}

/// Requirement: chunks as RFC 9112 §7.1 has them, with extensions ignored and trailers kept.
#[test]
fn chunked_bodies_that_are_taken() {
    let table: &[(&[u8], &[u8], usize)] = &[
        (b"0\r\n\r\nNEXT", b"", 0),
        (b"3\r\nabc\r\n0\r\n\r\nNEXT", b"abc", 0),
        (b"0000A;a=b;c=\"d e\"\r\n0123456789\r\n00;x\r\n\r\nNEXT", b"0123456789", 0),
        (b"1\r\na\r\n1\r\nb\r\n0\r\nx: 1\r\ny: 2\r\n\r\nNEXT", b"ab", 2),
    ];
    for (text, data, trailers) in table {
        let (found, fields, rest) = chunks(text).unwrap();
        assert_eq!((found.as_slice(), fields.len(), rest.as_slice()), (*data, *trailers, &b"NEXT"[..]));
    }
}

/// Requirement: a chunk that readers are known to disagree about is refused.
#[test]
fn chunked_bodies_that_are_refused() {
    let long = [b"1;".as_slice(), &[b'x'; 5000]].concat();
    let table: &[(&[u8], &str)] = &[
        (b"\r\n", "odd chunk size"),
        (b"x\r\n", "odd chunk size"),
        (b"+3\r\nabc\r\n", "odd chunk size"),
        (b"-1\r\n", "odd chunk size"),
        (b"0x3\r\nabc\r\n", "odd chunk size"),
        (b" 3\r\nabc\r\n", "odd chunk size"),
        (b"3 \r\nabc\r\n", "odd chunk size"),
        (b"3 \t;ext\r\nabc\r\n", "odd chunk size"),
        (b"3_0\r\nabc\r\n", "odd chunk size"),
        (b"00000000000000003\r\nabc\r\n", "odd chunk size"),
        (b"10000000000000000\r\n", "odd chunk size"),
        (b"3;a\rb\r\nabc\r\n", "odd chunk size"),
        (b"3;a\0\r\nabc\r\n", "odd chunk size"),
        (b"3\nabc\r\n", "a chunk line ends with a bare lf"),
        (b"3;a\nabc\r\n", "a chunk line ends with a bare lf"),
        (b"3\r\nabcd\r\n", "chunk data does not end with crlf"),
        (b"3\r\nabc\n0\r\n\r\n", "chunk data does not end with crlf"),
        (b"0\r\nx: 1\n\r\n", "a line ends with a bare lf"),
        (b"0\r\nx\r\n\r\n", "malformed field name"),
        (b"0\r\n x: 1\r\n\r\n", "a line begins with white space (obsolete folding)"),
        (b"0\r\ncontent-length: 1\r\n\r\n", "a framing, routing or connection field among the trailers"),
        (b"0\r\nhost: b\r\n\r\n", "a framing, routing or connection field among the trailers"),
        (&long, "chunk line is too long"),
    ];
    for (text, reason) in table {
        assert_eq!(chunks(text).map_err(|why| why.reason).expect_err(reason), *reason, "{:?}", String::from_utf8_lossy(text));
    }
}

/// Requirement: an encoded head carries the length that was decided and no other, and says nothing about one where that is forbidden.
#[test]
fn heads_are_written_with_one_length() {
    let with_length = |status: u16| {
        let mut head = Response::new(());
        *head.status_mut() = StatusCode::from_u16(status).unwrap();
        head.headers_mut().insert("content-length", HeaderValue::from_static("9"));
        head.headers_mut().insert("transfer-encoding", HeaderValue::from_static("gzip"));
        head
    };
    let table = [
        (200, BodyFraming::Length(3), "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"),
        (200, BodyFraming::Chunked, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        (200, BodyFraming::UntilClose, "HTTP/1.1 200 OK\r\n\r\n"),
        (200, BodyFraming::None, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"),
        (304, BodyFraming::None, "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n"),
        (204, BodyFraming::None, "HTTP/1.1 204 No Content\r\n\r\n"),
        (103, BodyFraming::None, "HTTP/1.1 103 Early Hints\r\n\r\n"),
        (799, BodyFraming::Length(0), "HTTP/1.1 799 \r\ncontent-length: 0\r\n\r\n"),
    ];
    for (status, framing, expected) in table {
        let mut out = BytesMut::new();
        encode_response(&with_length(status), framing, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}

/// Requirement: an uncommon reason phrase passes.
#[test]
fn the_reason_phrase_passes() {
    let text = "HTTP/1.1 200 Fine, thanks\r\ncontent-length: 0\r\n\r\n";
    let (head, framing) = response(&Method::GET, text).unwrap().unwrap();
    let mut out = BytesMut::new();
    encode_response(&head, framing, &mut out);
    assert_eq!(String::from_utf8_lossy(&out), text);
}

fn field() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
    let name = "[a-z][a-z0-9-]{0,12}".prop_filter("framing and routing fields have rules of their own", |name| {
        !["host", "content-length", "transfer-encoding", "te", "upgrade", "connection"].contains(&name.as_str())
    });
    // Any byte a value may hold, beyond ASCII too; surrounding white space is not part of a value.
    let value = proptest::collection::vec(prop_oneof![0x21u8..0x7f, 0x80u8..=0xff], 0..20);
    (name, value).prop_map(|(name, value)| (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(&value).unwrap()))
}

fn framing() -> impl Strategy<Value = BodyFraming> {
    prop_oneof![Just(BodyFraming::None), any::<u64>().prop_map(BodyFraming::Length), Just(BodyFraming::Chunked)]
}

fn body_text(data: &[Vec<u8>], trailers: Option<&HeaderMap>) -> BytesMut {
    let mut out = BytesMut::new();
    for piece in data {
        encode_chunk_size(piece.len(), &mut out);
        out.extend_from_slice(piece);
        out.extend_from_slice(chunk_end());
    }
    encode_last_chunk(trailers, &mut out);
    out
}

/// Cuts `text` at these fractions of its length.
fn cut<'a>(text: &'a [u8], places: &[u16]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = places.iter().map(|place| usize::from(*place) * text.len() / usize::from(u16::MAX)).collect();
    ends.push(text.len());
    ends.sort_unstable();
    let mut start = 0;
    ends.into_iter().map(|end| &text[std::mem::replace(&mut start, end)..end]).collect()
}

proptest! {
    /// Requirement: reading what was written gives the same request.
    #[test]
    fn a_request_survives(
        method in "[A-Z]{1,8}".prop_filter("has a target of its own", |method| method != "CONNECT"),
        path in "/[a-zA-Z0-9%._~!$&'()*+,;=:@/?-]{0,40}",
        fields in proptest::collection::vec(field(), 0..20),
        framing in framing(),
    ) {
        let mut head = Request::new(());
        *head.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        *head.uri_mut() = path.parse().unwrap();
        head.headers_mut().insert("host", HeaderValue::from_static("a"));
        for (name, value) in fields {
            head.headers_mut().append(name, value);
        }
        let mut text = BytesMut::new();
        encode_request(&head, framing, &mut text);
        let (mut found, found_framing) = parse_request(&mut text, &Limits::default()).unwrap().unwrap();
        prop_assert!(text.is_empty());
        prop_assert_eq!(found_framing, framing);
        found.headers_mut().remove("content-length");
        found.headers_mut().remove("transfer-encoding");
        prop_assert_eq!(found.method(), head.method());
        prop_assert_eq!(found.uri(), head.uri());
        prop_assert_eq!(found.headers(), head.headers());
    }

    /// Requirement: reading what was written gives the same response.
    #[test]
    fn a_response_survives(status in 200u16..600, fields in proptest::collection::vec(field(), 0..20), framing in framing()) {
        let mut head = Response::new(());
        *head.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in fields {
            head.headers_mut().append(name, value);
        }
        let bodiless = response_has_no_body(&Method::GET, head.status());
        let framing = match framing {
            _ if bodiless => BodyFraming::None,
            BodyFraming::None => BodyFraming::UntilClose,
            framing => framing,
        };
        let mut text = BytesMut::new();
        encode_response(&head, framing, &mut text);
        let (mut found, found_framing) = parse_response(&mut text, &Method::GET, &Limits::default()).unwrap().unwrap();
        prop_assert_eq!(found_framing, framing);
        found.headers_mut().remove("content-length");
        found.headers_mut().remove("transfer-encoding");
        prop_assert_eq!(found.status(), head.status());
        prop_assert_eq!(found.headers(), head.headers());
    }

    /// Requirement: a body and its trailers survive chunked coding, however the bytes are cut on their way.
    #[test]
    fn a_chunked_body_survives_any_cut(
        data in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..6),
        fields in proptest::collection::vec(field(), 0..4),
        places in proptest::collection::vec(any::<u16>(), 0..12),
    ) {
        let trailers: HeaderMap = fields.into_iter().collect();
        let text = body_text(&data, Some(&trailers));
        let (found, found_trailers, rest) = decode_all(BodyFraming::Chunked, &cut(&text, &places)).unwrap();
        prop_assert_eq!(found, data.concat());
        prop_assert_eq!(found_trailers, trailers);
        prop_assert!(rest.is_empty());
    }

    /// Requirement: it makes no difference to a request, taken or refused, how its bytes are cut.
    #[test]
    fn any_cut_of_a_head_gives_the_same(
        which in 0usize..8,
        noise in proptest::option::of((any::<u16>(), any::<u8>())),
        places in proptest::collection::vec(any::<u16>(), 0..12),
    ) {
        let mut text = [
            "GET / HTTP/1.1\r\nhost: a\r\n\r\nrest",
            "\r\nGET /a?b HTTP/1.0\r\nx: y\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nabcde",
            "GET http://a/b HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n",
            "GET / HTTP/1.1\nhost: a\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        ][which].as_bytes().to_vec();
        if let Some((place, byte)) = noise {
            let place = usize::from(place) % text.len();
            text[place] = byte;
        }
        let show = |result: Result<Option<(Request<()>, BodyFraming)>, Rejected>| format!("{result:?}");
        let mut whole = BytesMut::from(text.as_slice());
        let expected = show(parse_request(&mut whole, &Limits::default()));
        let mut buf = BytesMut::new();
        let mut found = show(Ok(None));
        let none = found.clone();
        for part in cut(&text, &places) {
            buf.extend_from_slice(part);
            if found == none {
                found = show(parse_request(&mut buf, &Limits::default()));
            }
        }
        prop_assert_eq!(&found, &expected);
        if expected.starts_with("Ok") {
            prop_assert_eq!(buf, whole);
        }
    }

    /// Requirement: no bytes make the codec panic, and none make a decoder give out more than came in.
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse_request(&mut BytesMut::from(bytes.as_slice()), &Limits::default());
        let _ = parse_response(&mut BytesMut::from(bytes.as_slice()), &Method::GET, &Limits::default());
        let mut decoder = ChunkedDecoder::new(Limits::default());
        let mut buf = BytesMut::from(bytes.as_slice());
        let mut given = 0;
        while let Ok(Some(Piece::Data(data))) = decoder.decode(&mut buf) {
            given += data.len();
        }
        prop_assert!(given <= bytes.len());
    }
}

/// Requirement: field values and the target are slices of what was read.
#[test]
fn values_are_not_copied() {
    let mut buf = BytesMut::from("GET /path HTTP/1.1\r\nhost: a\r\nx: value\r\n\r\n");
    let before = buf.as_ptr() as usize..buf.as_ptr() as usize + buf.len();
    let (head, _) = parse_request(&mut buf, &Limits::default()).unwrap().unwrap();
    assert!(before.contains(&(head.headers()["x"].as_bytes().as_ptr() as usize)));
    assert!(before.contains(&(head.uri().path().as_ptr() as usize)));
    assert_eq!(head.version(), Version::HTTP_11);
}
